//! A program on a terminal of its own.

use std::io::{Read as _, Write as _};
use std::path::Path;

use pty_process::blocking::{Command, open};

use super::corner::Corner;

/// Whether a terminal can be made. Where /dev/pts is not mounted, as in a bare chroot, it cannot, and a story about terminals has
/// nothing to run on.
pub fn can_be_made() -> bool {
    let can = Path::new("/dev/pts/ptmx").exists();
    if !can {
        eprintln!("/dev/pts is not mounted, so no terminal can be made here: nothing is tested");
    }
    can
}

/// Runs `replay` on a terminal in the folder `state`, types `answer` and a newline, and gives what the terminal showed.
pub fn replay_on_a_terminal(corner: &Corner, state: &Path, arguments: &[&str], answer: &str) -> String {
    let (mut terminal, inside) = open().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_replay"))
        .args(arguments)
        .env("AMQP_URL", &corner.amqp_url)
        .env("ETL_NAMESPACE", &corner.namespace)
        .env("REPLAY_STATE_DIR", state)
        .current_dir(state)
        .spawn(inside)
        .unwrap();
    writeln!(terminal, "{answer}").unwrap();
    let mut shown = Vec::new();
    // Linux tells the end of a terminal by an error.
    let _ = terminal.read_to_end(&mut shown);
    child.wait().unwrap();
    String::from_utf8_lossy(&shown).into_owned()
}
