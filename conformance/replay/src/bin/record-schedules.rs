//! Records every scenario anew: `cargo run -p frazil-replay --bin record-schedules FOLDER`.

use std::path::PathBuf;
use std::process::ExitCode;

use frazil_replay::scenarios;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("record-schedules: a folder is missing");
        return ExitCode::from(2);
    };
    for (name, record) in scenarios::ALL {
        let file = folder.join(name).with_extension("txt");
        if let Err(error) = std::fs::write(&file, record()) {
            eprintln!("record-schedules: {}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
