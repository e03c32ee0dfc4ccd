//! Shows a person what a connection could be made of from here: the machine's interfaces, which STUN and TURN servers
//! answer, the candidates that come of it, and what the NATs on the way do.

mod behaviour;
mod json;
mod survey;
mod table;
mod text;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use frazil_tokio::{IceServer, InvalidServer, StartError};

use crate::survey::Survey;
use crate::text::Style;

/// Shows what a connection could be made of from here.
///
/// Lists the machine's interfaces, asks the STUN and TURN servers that are named, and shows the candidates that come of
/// it and how the NATs on the way behave. Nothing is sent to anyone else. Ends with 1 if a server gave nothing
/// or there is no candidate.
#[derive(Parser)]
#[command(name = "probe", version)]
struct Arguments {
    /// STUN and TURN servers, such as stun:stun.example.org or turns:turn.example.org:443
    #[arg(value_name = "URI")]
    servers: Vec<String>,
    /// As whom to ask TURN servers
    #[arg(long, requires = "password")]
    user: Option<String>,
    /// The user's password
    #[arg(long, requires = "user")]
    password: Option<String>,
    /// How long a server may take
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Writes JSON, for programs
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut servers = IceServer::new(&arguments.servers);
    if let (Some(user), Some(password)) = (&arguments.user, &arguments.password) {
        servers = servers.credentials(user, password);
    }
    let patience = Duration::from_secs(arguments.seconds);
    let survey = match Survey::make(&arguments.servers, servers, patience).await {
        Ok(survey) => survey,
        Err(error) => {
            eprintln!("probe: {error}");
            if matches!(error, StartError::Server(InvalidServer::NoCredentials(_))) {
                eprintln!("They are given with --user and --password.");
            }
            return ExitCode::from(2);
        }
    };
    if arguments.json {
        println!("{:#}", json::of(&survey));
    } else {
        let style = Style { bold: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() };
        print!("{}", text::of(&survey, style));
    }
    if survey.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
