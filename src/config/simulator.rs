//! Options of the simulator.

use super::TelemetryArgs;

/// A stand-in for GitHub's Events API.
#[derive(clap::Parser)]
#[command(name = "simulator", version)]
pub struct SimulatorArgs {
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}
