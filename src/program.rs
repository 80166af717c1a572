//! The common part of every binary's `main`: reads the configuration, sets up telemetry, runs the program until it is done or gets a
//! signal, and turns the result into an exit code.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory, FromArgMatches};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::config::{Environment, TelemetryArgs, UsageError};
use crate::health::Health;
use crate::status::Board;
use crate::telemetry;
use crate::terminal::Escaped;

/// The resources that a program runs with.
pub struct Context {
    /// Variables, `.env` and secrets.
    pub environment: Environment,
    /// The state of the servers. Dependencies report to it.
    pub health: Health,
    /// The figures of the status. Stages write them.
    pub board: Board,
    /// Fires at SIGTERM or SIGINT. The program then settles its in-flight deliveries and returns.
    pub shutdown: CancellationToken,
}

/// Exit code 0: done; also after SIGTERM or SIGINT, once in-flight deliveries are settled.
const DONE: u8 = 0;
/// Exit code 1: failed.
const FAILED: u8 = 1;
/// Exit code 2: bad usage.
const BAD_USAGE: u8 = 2;

/// Time from the signal until the program is cut off. Supervisors give it 10 s in all.
const STOP_MAX: Duration = Duration::from_secs(8);
/// How long the last spans may take after that.
const LAST_SPANS_MAX: Duration = Duration::from_secs(1);

/// Runs a program and returns its exit code. Errors are printed here, once, with their whole chain.
pub fn main<A, F>(telemetry_args: fn(&A) -> &TelemetryArgs, run: F) -> ExitCode
where
    A: CommandFactory + FromArgMatches,
    F: AsyncFnOnce(A, Context) -> anyhow::Result<()>,
{
    let code = match start(telemetry_args, run) {
        Ok(()) => DONE,
        Err(error) => {
            // Not `eprintln!`, which panics when nobody reads stderr any more.
            for (number, line) in format!("{error:#}").lines().enumerate() {
                let begins = if number == 0 { "error: " } else { "" };
                // It may hold a file's name or a server's text.
                let _ = writeln!(std::io::stderr(), "{begins}{}", Escaped(line));
            }
            if error.is::<UsageError>() { BAD_USAGE } else { FAILED }
        }
    };
    ExitCode::from(code)
}

fn start<A, F>(telemetry_args: fn(&A) -> &TelemetryArgs, run: F) -> anyhow::Result<()>
where
    A: CommandFactory + FromArgMatches,
    F: AsyncFnOnce(A, Context) -> anyhow::Result<()>,
{
    let environment = Environment::load()?;
    let args = parse::<A>(&environment)?;
    // Kept to the end, so that the last lines come before the line that `main` prints.
    let _log = telemetry::install_log(telemetry_args(&args).log_format, &environment)?;
    install_tls();
    let health = Health::default();
    let exporting = telemetry::export_spans(A::command().get_name(), &environment, &health)?;
    // One thread: measured against the multi-threaded runtime, this costs less CPU per event, and loaders scale as
    // processes anyway.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let board = Board::new(health.clone());
        let context = Context { environment, health, board, shutdown: CancellationToken::new() };
        stop_on_signal(context.shutdown.clone())?;
        telemetry::serve(telemetry_args(&args), A::command().get_name(), &context.health)?;
        let overdue = overdue(context.shutdown.clone());
        tokio::select! {
            biased;
            result = run(args, context) => result,
            () = overdue => Ok(()),
        }
    });
    leave(runtime);
    exporting.finish(LAST_SPANS_MAX);
    result
}

/// Leaves a runtime as it is, because the process ends. Dropping it would wait for a reader of our stdout that has stopped reading. It
/// would also cancel lapin's tasks, and lapin's threads that wait for them would panic.
pub(crate) fn leave(runtime: Runtime) {
    std::mem::forget(runtime);
}

/// Ends when a stop takes too long. The program's parts have time limits of their own, which end them in order. This limit holds
/// whatever their sum is. Cutting off is safe: work that is not confirmed, acked or saved is repeated.
async fn overdue(shutdown: CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(STOP_MAX).await;
    tracing::warn!("stopping: not everything ended within {} s, so it is cut off", STOP_MAX.as_secs());
}

/// Parses the command line, with `.env` and `*_FILE` values as defaults, so that flag > environment > `.env` > default.
fn parse<A: CommandFactory + FromArgMatches>(environment: &Environment) -> anyhow::Result<A> {
    let matches = with_environment(A::command(), environment)?.try_get_matches();
    let matches = matches.map_err(|error| match error.kind() {
        ErrorKind::InvalidUtf8 => not_text(&A::command()),
        _ => error.exit(),
    })?;
    Ok(A::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

/// Names the argument or variable that is not UTF-8, which clap does not, and shows no value: it may be a secret.
fn not_text(command: &Command) -> UsageError {
    let (mut flag, mut place) = (None, None);
    for argument in std::env::args_os().skip(1) {
        let name = argument.to_string_lossy().split('=').next().unwrap_or_default().to_owned();
        let is_flag = name.starts_with('-');
        if argument.to_str().is_none() {
            place = if is_flag { Some(name) } else { flag };
            break;
        }
        flag = is_flag.then_some(name);
    }
    let place = place.or_else(|| variable_that_is_not_text(command));
    UsageError(format!("{}: its value is not UTF-8 text", place.as_deref().unwrap_or("an argument")))
}

fn variable_that_is_not_text(command: &Command) -> Option<String> {
    let variables = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    let mut bad =
        variables.filter(|name| std::env::var_os(name).is_some_and(|value| value.to_str().is_none()));
    let found = bad.next().map(str::to_owned);
    found.or_else(|| command.get_subcommands().find_map(variable_that_is_not_text))
}

/// Gives every argument of `command` and its subcommands that has a variable the value that we see for it.
fn with_environment(mut command: Command, environment: &Environment) -> anyhow::Result<Command> {
    let subcommands: Vec<_> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in subcommands {
        let mut result = Ok(());
        command = command.mut_subcommand(name, |sub| {
            with_environment(sub.clone(), environment).unwrap_or_else(|error| {
                result = Err(error);
                sub
            })
        });
        result?;
    }
    let variables: Vec<_> = command
        .get_arguments()
        .filter_map(|arg| Some((arg.get_id().clone(), arg.get_env()?.to_str()?.to_owned())))
        .collect();
    for (id, variable) in variables {
        if environment.in_process(&variable) {
            continue;
        }
        let value = environment.lookup(&variable)?;
        command = command.mut_arg(id, |arg| match value {
            // Clap would take the process's empty variable for a value, and print a default that may be a secret.
            Some(value) => {
                let takes_values = arg.get_action().takes_values();
                let arg = arg.env(None::<&str>).default_value(value);
                if takes_values { arg.hide_default_value(true) } else { arg }
            }
            None if std::env::var_os(&variable).is_some() => arg.env(None::<&str>),
            None => arg,
        });
    }
    Ok(command)
}

/// Picks the TLS implementation once for every client in the process.
fn install_tls() {
    // Fails only when one is installed already, and then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Handles SIGTERM and SIGINT. The first one stops the program in order, the second one at once: unacked messages are redelivered.
fn stop_on_signal(shutdown: CancellationToken) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if shutdown.is_cancelled() {
                // No log line: logging itself may hang.
                std::process::exit(i32::from(FAILED));
            }
            shutdown.cancel();
            tracing::info!("stopping: finishing what is in flight; a second signal leaves at once");
        }
    });
    Ok(())
}
