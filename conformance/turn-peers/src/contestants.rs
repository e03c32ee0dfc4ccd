//! Who is compared, and the programs that drive them.

use std::path::Path;
use std::process::Command;

/// An implementation.
pub(crate) struct Contestant {
    /// The column's head.
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Drives its TURN client.
    pub(crate) client: Program,
    /// Drives what gathers candidates, if there is something that does.
    pub(crate) agent: Option<Program>,
    /// Why it has no agent.
    pub(crate) without_agent: &'static str,
}

impl Contestant {
    /// Its name and version.
    pub(crate) fn version(&self, installed: &Installed) -> String {
        if self.name != CHROMIUM {
            return format!("{} {}", self.name, self.version);
        }
        // The browser is what the machine has.
        let said = Command::new(&installed.chromium).arg("--version").output().map(|output| output.stdout);
        let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
        let number = said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        format!("{CHROMIUM} {}", number.unwrap_or("of unknown version"))
    }

    /// Whether what is driven is one client of one server, so that whoever is told something knows by which server.
    pub(crate) fn is_one_client(&self) -> bool {
        self.agent != Some(self.client)
    }
}

/// What a program is started with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// A binary of this package.
    Own(&'static str),
    Python(&'static str),
    Node(&'static str),
}

/// Where what the programs need is installed.
pub(crate) struct Installed {
    /// The Python of a virtual environment.
    pub(crate) python: String,
    pub(crate) node: String,
    /// The folder with `node_modules`.
    pub(crate) node_modules: String,
    pub(crate) chromium: String,
}

impl Program {
    /// The words of its command.
    pub(crate) fn words(self, installed: &Installed) -> Vec<String> {
        let script =
            |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers").join(name).display().to_string();
        match self {
            Self::Own(name) => {
                let own = std::env::current_exe().expect("this program has a file");
                vec![own.with_file_name(name).display().to_string()]
            }
            Self::Python(name) => vec![installed.python.clone(), script(name)],
            Self::Node(name) => vec![installed.node.clone(), script(name)],
        }
    }
}

const CHROMIUM: &str = "Chromium";

/// All of them, in the order of the columns.
pub(crate) const CONTESTANTS: [Contestant; 8] = [
    Contestant {
        name: "frazil",
        version: "this, by frazil-tokio",
        client: Program::Own("drive-frazil-tokio"),
        agent: Some(Program::Own("drive-frazil-tokio")),
        without_agent: "",
    },
    Contestant {
        name: "`frazil::turn`",
        version: "this",
        client: Program::Own("drive-frazil"),
        agent: None,
        without_agent: "it is the client alone",
    },
    Contestant {
        name: "rice-proto",
        version: "0.4.3, turn-client-proto 0.7.3, turn-client-rustls 0.1.2",
        client: Program::Own("drive-turn-client-proto"),
        agent: Some(Program::Own("drive-rice-proto")),
        without_agent: "",
    },
    Contestant {
        name: "rtc",
        version: "0.21.1 (rtc-turn)",
        client: Program::Own("drive-rtc"),
        agent: None,
        without_agent: "gathering is left to the application",
    },
    Contestant {
        name: "aioice",
        version: "0.13.0",
        client: Program::Python("aioice_driver.py"),
        agent: Some(Program::Python("aioice_driver.py")),
        without_agent: "",
    },
    Contestant {
        name: "werift",
        version: "0.25.2",
        client: Program::Node("werift.mjs"),
        agent: Some(Program::Node("werift.mjs")),
        without_agent: "",
    },
    Contestant {
        name: "libjuice",
        version: "in node-datachannel 0.33.4",
        client: Program::Node("libdatachannel.mjs"),
        agent: Some(Program::Node("libdatachannel.mjs")),
        without_agent: "",
    },
    Contestant {
        name: CHROMIUM,
        version: "",
        client: Program::Node("chromium.mjs"),
        agent: Some(Program::Node("chromium.mjs")),
        without_agent: "",
    },
];
