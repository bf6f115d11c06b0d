//! The program: parse the arguments, run one command, end with the code that says how it went.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use peakhour::cli::exit::{BUG, Exit};
use peakhour::cli::{self, Arguments};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked { Exit::Pass } else { Exit::Input }.code());
        }
    };
    match std::panic::catch_unwind(|| cli::run(arguments)) {
        Ok(Ok(Exit::Pass)) if cli::outputs::is_cut() => ExitCode::from(Exit::Input.code()),
        Ok(Ok(exit)) => ExitCode::from(exit.code()),
        Ok(Err(error)) => {
            cli::outputs::note(false, &format!("error: {error:#}"));
            ExitCode::from(Exit::Input.code())
        }
        Err(_) => ExitCode::from(BUG),
    }
}
