//! What a step needs from the machine, and how it gets there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cargo_tool::CargoTool;
use crate::download::{self, with_patience};
use crate::failure::Failure;
use crate::job::{Finished, Job};
use crate::kotlin;
use crate::node;
use crate::python;
use crate::repository::Repository;
use crate::swift;

/// Something outside the repository that a step cannot run without.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Need {
    /// One of these programs on the search path, or else this Debian package.
    Program { any_of: &'static [&'static str], package: &'static str },
    /// The right to make a network namespace, which no package gives.
    NetworkNamespace,
    /// The right to have routers in such namespaces: links, forwarding, and the NAT of `nft`.
    Routers,
    /// The same in a namespace of processes too, with a `/run` of its own.
    Lab,
    /// A cargo subcommand of the version that the project pins.
    Tool(CargoTool),
    /// Node that is new enough.
    Node,
    /// The locked npm packages of this folder.
    NodeModules { folder: &'static str },
    /// Python 3.11 or newer, and the pinned tools of the binding.
    Python,
    /// A JDK, 17 or newer, and Maven.
    Kotlin,
    /// Swift 6, in a Debian of its own.
    Swift,
}

impl Need {
    /// A program whose Debian package has its name.
    pub(crate) const fn program(name: &'static [&'static str; 1]) -> Self {
        Self::Program { any_of: name, package: name[0] }
    }

    fn is_met(self, repository: &Repository) -> bool {
        match self {
            Self::Program { any_of, .. } => any_of.iter().any(|program| find_program(program).is_some()),
            Self::NetworkNamespace => may_make_network_namespaces(),
            Self::Routers => may_do(&["--net"], ROUTER),
            Self::Lab => {
                let flags = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
                may_do(&flags, &["mount -t tmpfs none /run && mkdir /run/frazil", ROUTER].join(" && "))
            }
            Self::Tool(tool) => tool.is_installed(repository),
            Self::Node => node::is_new_enough(repository),
            Self::NodeModules { folder } => node_modules_are_fresh(&repository.root().join(folder)),
            Self::Python => python::is_installed(repository),
            Self::Kotlin => kotlin::missing_packages().is_empty(),
            Self::Swift => swift::is_installed(repository),
        }
    }

    /// Why this machine cannot have it, whatever is installed.
    fn unavailable(self) -> Option<String> {
        match self {
            Self::NetworkNamespace => Some("this machine does not let us make a network namespace".to_owned()),
            Self::Routers => {
                Some("this machine does not let us have routers with NAT in network namespaces".to_owned())
            }
            Self::Lab => Some(
                "this machine does not let us have routers with NAT in namespaces of network, mounts and processes"
                    .to_owned(),
            ),
            Self::Swift => swift::cannot_be_made(),
            _ => None,
        }
    }

    /// The Debian packages that it wants and that are not there.
    fn missing_packages(&self) -> &[&'static str] {
        match self {
            Self::Program { package, .. } => std::slice::from_ref(package),
            Self::Python => python::missing_packages(),
            Self::Kotlin => kotlin::missing_packages(),
            Self::Swift => swift::missing_packages(),
            Self::NetworkNamespace | Self::Routers | Self::Lab => &[],
            Self::Tool(_) | Self::Node | Self::NodeModules { .. } => &[],
        }
    }

    /// Builds or fetches it, now that its Debian packages are there.
    fn install(self, repository: &Repository) -> Result<(), Failure> {
        let fetch = |what, fetch: &dyn Fn() -> Result<(), Failure>| with_patience(download::PAUSE, what, fetch);
        match self {
            Self::Tool(tool) => fetch(tool.name(), &|| tool.install("setup", repository)),
            Self::Node => fetch("Node", &|| node::install("setup", repository)),
            Self::NodeModules { folder } => fetch(folder, &|| install_node_modules(repository, folder)),
            Self::Python => python::install("setup", repository),
            Self::Swift => fetch("Swift", &|| swift::install("setup", repository)),
            Self::Program { .. } | Self::Kotlin => {
                let packages = self.missing_packages().join(", ");
                Err(Failure::unexplained(format!("{packages} is installed and its program still missing")))
            }
            Self::NetworkNamespace | Self::Routers | Self::Lab => {
                Err(Failure::unexplained("a network namespace cannot be installed"))
            }
        }
    }
}

/// Why a need is not met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unmet {
    /// This machine does not let us: the steps that need it are skipped.
    Unavailable(String),
    /// It ought to have worked: the steps that need it have failed.
    Broken(Failure),
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => f.write_str(why),
            Self::Broken(failure) => failure.fmt(f),
        }
    }
}

/// Sets the machine up, each thing once.
pub(crate) struct Setup<'a> {
    repository: &'a Repository,
    known: BTreeMap<Need, Result<(), Unmet>>,
    installer: Installer,
    package_lists_are_fresh: bool,
    /// Between two tries to fetch packages.
    pause: Duration,
}

impl<'a> Setup<'a> {
    pub(crate) fn new(repository: &'a Repository) -> Self {
        Self {
            repository,
            known: BTreeMap::new(),
            installer: Installer::find(),
            package_lists_are_fresh: false,
            pause: download::PAUSE,
        }
    }

    /// Meets all of `needs`, or says which one it cannot.
    ///
    /// Debian packages that are missing are installed together.
    pub(crate) fn meet(&mut self, needs: &[Need]) -> Result<(), Unmet> {
        let open: BTreeSet<Need> = needs.iter().copied().filter(|need| !self.known.contains_key(need)).collect();
        let (met, missing): (Vec<Need>, Vec<Need>) = open.into_iter().partition(|need| need.is_met(self.repository));
        self.known.extend(met.into_iter().map(|need| (need, Ok(()))));

        let wanted: BTreeSet<&str> = missing.iter().flat_map(Need::missing_packages).copied().collect();
        let packages = self.install_packages(&wanted.into_iter().collect::<Vec<_>>());
        for need in missing {
            let outcome = match need.unavailable() {
                _ if need.is_met(self.repository) => Ok(()),
                Some(why) => Err(Unmet::Unavailable(why)),
                // One package that cannot be had must not take the others with it.
                None if packages.is_err() && !need.missing_packages().is_empty() => {
                    self.install_packages(need.missing_packages())
                }
                None => Ok(()),
            };
            let outcome = outcome.and_then(|()| match need.is_met(self.repository) {
                true => Ok(()),
                false => need.install(self.repository).map_err(Unmet::Broken),
            });
            self.known.insert(need, outcome);
        }
        needs.iter().try_for_each(|need| self.known[need].clone())
    }

    fn install_packages(&mut self, packages: &[&str]) -> Result<(), Unmet> {
        if packages.is_empty() {
            return Ok(());
        }
        let listed = packages.join(", ");
        let prefix = match &self.installer {
            Installer::Prefix(prefix) => prefix.clone(),
            Installer::None(why) => return Err(Unmet::Unavailable(format!("missing: {listed}; {why}"))),
        };
        println!("setup | installing {listed}");
        let apt_get = |arguments: &[&str]| {
            let words: Vec<&str> =
                prefix.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]).collect();
            Job::new("setup", words[0], self.repository.root())
                .args(&words[1..])
                .args(["--quiet", "--yes"])
                .args(swift::APT_PATIENCE)
                .args(arguments)
                .keep(|line| line.starts_with("E:") || line.starts_with("W:") || line.starts_with("Setting up"))
                .run()
        };
        let failed = |finished| Failure::of(format!("apt-get could not install {listed}"), &finished);
        let done = |finished: Finished| if finished.success { Ok(()) } else { Err(failed(finished)) };
        if !self.package_lists_are_fresh {
            // Some lists are better than none: what is installed may be on them.
            let updated = with_patience(self.pause, "a list of packages", || done(apt_get(&["update"])));
            self.package_lists_are_fresh = updated.is_ok();
        }
        let mut install = vec!["install", "--no-install-recommends"];
        install.extend(packages);
        with_patience(self.pause, &listed, || done(apt_get(&install))).map_err(Unmet::Broken)
    }
}

/// How Debian packages may be installed here.
enum Installer {
    /// Words in front of the command.
    Prefix(Vec<&'static str>),
    /// Not at all, and why.
    None(&'static str),
}

impl Installer {
    fn find() -> Self {
        if find_program("apt-get").is_none() {
            return Self::None("there is no apt-get here to install it with");
        }
        let user = Command::new("id").arg("-u").output();
        if user.is_ok_and(|output| output.stdout.trim_ascii() == b"0") {
            return Self::Prefix(Vec::new());
        }
        if find_program("sudo").is_none() {
            return Self::None("to install it one must be root, or have sudo");
        }
        // Where a person sits, sudo may ask for the password; it does so at the terminal itself.
        if succeeds("sudo", &["-n", "true"]) || io::stdin().is_terminal() {
            return Self::Prefix(vec!["sudo"]);
        }
        Self::None("to install it one must be root, and sudo wants a password")
    }
}

/// Where `program` lies, on the search path or where Debian keeps what a plain user's search path leaves out.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// As root, or where the system lets anyone be root in a namespace.
fn may_make_network_namespaces() -> bool {
    may_do(&["--net"], "true")
}

/// A little of each thing that the routers of the tests are made of.
const ROUTER: &str = "PATH=$PATH:/usr/sbin:/sbin
    ip link add lan type bridge && ip link add wan type veth peer name inside && ip link set inside master lan &&
    echo 1 >/proc/sys/net/ipv4/ip_forward &&
    nft 'table ip router {
        map asked { type inet_service : ipv4_addr; flags dynamic,timeout; timeout 2m; size 100; }
        chain remember { type filter hook prerouting priority -150; update @asked { udp sport : ip saddr }; }
        chain inward { type nat hook prerouting priority -100; iifname wan meta l4proto udp dnat to udp dport map @asked; }
        chain outward { type nat hook postrouting priority 100; oifname wan masquerade random,fully-random; }
        chain through { type filter hook forward priority 0; ct status dnat accept; ct state new drop; }
    }'";

/// Whether a shell may do that in namespaces that `unshare` makes.
fn may_do(namespaces: &[&str], script: &str) -> bool {
    [&[][..], &["--user", "--map-root-user"]].iter().any(|own| {
        let words = [own, namespaces, &["sh", "-ec", script]].concat();
        succeeds("unshare", &words)
    })
}

/// The copy of the lock file that the installed modules were made from.
const INSTALLED_LOCK: &str = "node_modules/.installed-package-lock.json";

fn node_modules_are_fresh(folder: &Path) -> bool {
    let read = |name: &str| fs::read(folder.join(name)).ok();
    let wanted = read("package-lock.json");
    wanted.is_some() && wanted == read(INSTALLED_LOCK)
}

fn install_node_modules(repository: &Repository, folder: &str) -> Result<(), Failure> {
    let what = format!("npm packages of {folder}");
    let folder = repository.root().join(folder);
    let npm = Job::new("setup", "npm", &folder).env("PATH", node::search_path(repository));
    let finished = npm.args(["ci", "--no-audit", "--no-fund"]).run();
    if !finished.success {
        return Err(Failure::of(what, &finished));
    }
    let copied = fs::copy(folder.join("package-lock.json"), folder.join(INSTALLED_LOCK));
    copied.map(drop).map_err(|error| Failure::new(what, [error.to_string()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: Need = Need::program(&["sh"]);
    const NONSENSE: Need = Need::program(&["no-such-program-anywhere"]);

    fn setup(repository: &Repository) -> Setup<'_> {
        Setup { installer: Installer::None("nobody may"), pause: Duration::ZERO, ..Setup::new(repository) }
    }

    #[test]
    fn what_is_there_is_met_and_what_may_not_be_installed_is_unavailable() {
        let repository = Repository::here();
        let mut setup = setup(&repository);
        assert_eq!(setup.meet(&[SHELL]), Ok(()));
        let Err(Unmet::Unavailable(why)) = setup.meet(&[SHELL, NONSENSE]) else { panic!("met") };
        assert!(why.contains("no-such-program-anywhere") && why.contains("nobody may"), "{why}");
        assert_eq!(setup.known.len(), 2);
    }

    #[test]
    fn a_package_that_cannot_be_had_does_not_take_others_with_it() {
        const ANOTHER: Need = Need::program(&["no-such-other-program"]);
        let repository = Repository::here();
        // Stands where `sudo` would: the one package cannot be installed, the other can, and does not help.
        let refusal = vec!["sh", "-c", "case $* in *program-anywhere*) exit 1 ;; esac"];
        let installer = Installer::Prefix(refusal);
        let mut setup = Setup { installer, pause: Duration::ZERO, ..Setup::new(&repository) };
        let _ = setup.meet(&[NONSENSE, ANOTHER]);
        let mut why = |need| setup.meet(&[need]).map_err(|unmet| unmet.to_string());
        assert_eq!(why(NONSENSE), Err("apt-get could not install no-such-program-anywhere".to_owned()));
        assert!(why(ANOTHER).unwrap_err().ends_with("still missing"));
    }

    #[test]
    fn any_one_of_several_programs_will_do() {
        let repository = Repository::here();
        let either = Need::Program { any_of: &["no-such-program-anywhere", "sh"], package: "dash" };
        assert_eq!(setup(&repository).meet(&[either]), Ok(()));
    }
}
