//! Which way limits are enforced, and why not another one: the ground on which leaves are made.
//!
//! A group is used only when it was given to us: named by `MUXVISOR_CGROUP`, a systemd unit or
//! scope of ours (by its name), or the topmost group of a machine or container that we are root
//! of. In every other one somebody else is the manager, and a second one would get in its way.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access, geteuid};

use super::place::{Place, Wish};

/// Where the daemon itself stands below the ground: a group with limits for its children may hold
/// no process of its own. `DelegateSubgroup=` of the systemd unit says the same name.
pub const SUBGROUP: &str = "daemon";
/// What limits need, by the kernel's names.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// What can be limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Can {
    /// `memory_max`.
    pub memory: bool,
    /// `tasks_max`.
    pub tasks: bool,
    /// `cpu_quota`.
    pub cpu: bool,
}

/// A directory in which each agent gets a group of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The directory.
    pub base: PathBuf,
    /// What can be limited there.
    pub can: Can,
    /// Why not everything.
    pub lacks: Option<String>,
}

/// The way in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A group for each agent.
    Cgroup(Ground),
    /// None: no limit can be enforced.
    Nowhere {
        /// Why.
        why: String,
    },
}

impl Way {
    /// One line for a person.
    pub fn describe(&self) -> String {
        match self {
            Way::Cgroup(Ground { base, can, lacks }) => {
                let words = [(can.memory, "memory"), (can.tasks, "tasks"), (can.cpu, "cpu")];
                let held: Vec<&str> = words.iter().filter(|w| w.0).map(|w| w.1).collect();
                let held = if held.is_empty() { "no limit".to_owned() } else { held.join(", ") };
                let lacks = lacks.as_ref().map_or(String::new(), |why| format!("; {why}"));
                format!("a control group for each agent in {}: {held}{lacks}", base.display())
            }
            Way::Nowhere { why } => format!("none: {why}"),
        }
    }

    /// Whether every limit can be enforced.
    pub fn is_whole(&self) -> bool {
        match self {
            Way::Cgroup(ground) => ground.can == Can { memory: true, tasks: true, cpu: true },
            Way::Nowhere { .. } => false,
        }
    }
}

/// Looks which way there is, without changing anything: what needs a step of [`settle`] counts as
/// there when that step can be done.
pub fn find(wish: &Wish, place: Option<&Place>) -> Way {
    match given(wish, place) {
        Ok(base) => {
            let offered = words(&base.join("cgroup.controllers"));
            let (can, missing) = can(&offered);
            Way::Cgroup(Ground { base, can, lacks: missing })
        }
        Err(why) => Way::Nowhere { why },
    }
}

/// Takes the ground: steps aside into the subgroup where that is needed, and turns the controllers
/// on. Done again, it changes nothing.
pub fn settle(wish: &Wish, place: Option<&Place>) -> Way {
    let base = match given(wish, place) {
        Ok(base) => base,
        Err(why) => return Way::Nowhere { why },
    };
    let offered = words(&base.join("cgroup.controllers"));
    let failed = turn_on(&base, &offered).err();
    let (can, missing) = can(&words(&base.join("cgroup.subtree_control")));
    let lacks = failed.or(missing);
    Way::Cgroup(Ground { base, can, lacks })
}

/// The directory that was given to us, or why there is none.
fn given(wish: &Wish, place: Option<&Place>) -> Result<PathBuf, String> {
    let base = match (wish, place) {
        (Wish::Never, _) => return Err("MUXVISOR_CGROUP says so".to_owned()),
        (Wish::At(dir), _) => dir.clone(),
        (Wish::Auto, None) => return Err("this system has no cgroup v2 that we can see".to_owned()),
        (Wish::Auto, Some(place)) => ours(place)?,
    };
    let enter = AccessFlags::W_OK | AccessFlags::X_OK;
    for (path, may) in [(base.clone(), enter), (base.join("cgroup.procs"), AccessFlags::W_OK)] {
        access(&path, may).map_err(|errno| {
            format!("{} cannot be written to: {}", path.display(), errno.desc())
        })?;
    }
    Ok(base)
}

/// The group of ours that this process is in: its unit, even when it stands in the subgroup.
fn ours(place: &Place) -> Result<PathBuf, String> {
    let name = |dir: &Path| dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_unit = |dir: &Path| {
        let name = name(dir);
        name.starts_with("muxvisor") && (name.ends_with(".service") || name.ends_with(".scope"))
    };
    let parent = place.dir.parent().filter(|_| name(&place.dir) == SUBGROUP);
    if let Some(unit) = [Some(&*place.dir), parent].into_iter().flatten().find(|dir| is_unit(dir)) {
        return Ok(unit.to_owned());
    }
    // The topmost group is nobody's but root's; a daemon that stepped aside there is still at home.
    let top = match place.depth {
        0 => Some(&*place.dir),
        1 => parent,
        _ => None,
    };
    if let Some(top) = top.filter(|_| geteuid().is_root()) {
        return Ok(top.to_owned());
    }
    Err(format!("the control group {} was not given to muxvisor", place.dir.display()))
}

fn turn_on(base: &Path, offered: &[String]) -> Result<(), String> {
    let on = words(&base.join("cgroup.subtree_control"));
    let wanted = CONTROLLERS.iter().filter(|name| offered.iter().any(|o| o == *name));
    let missing: Vec<&str> =
        wanted.filter(|name| !on.iter().any(|o| o == *name)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let control = base.join("cgroup.subtree_control");
    let order: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
    let order = order.join(" ");
    match write(&control, &order) {
        Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
            step_aside(base)?;
            write(&control, &order)
        }
        done => done,
    }
    .map_err(|error| format!("its limits cannot be turned on: {error}"))
}

/// Moves this process into the subgroup, if nobody else stands in its way. After a restart systemd
/// could not put the next daemon of a service into a group that has such children, so a service
/// must come with the subgroup already.
fn step_aside(base: &Path) -> Result<(), String> {
    let own = std::process::id().to_string();
    if base.extension().is_some_and(|end| end == "service") {
        return Err("the unit has no DelegateSubgroup=daemon (systemd 254 or newer)".to_owned());
    }
    if words(&base.join("cgroup.procs")).iter().any(|pid| *pid != own) {
        return Err("other processes are in the same control group".to_owned());
    }
    let aside = base.join(SUBGROUP);
    let made = match fs::create_dir(&aside) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => write(&aside.join("cgroup.procs"), &own),
    };
    made.map_err(|error| format!("the daemon cannot step aside in its control group: {error}"))
}

fn can(controllers: &[String]) -> (Can, Option<String>) {
    let has = |name: &str| controllers.iter().any(|controller| controller == name);
    let can = Can { memory: has("memory"), tasks: has("pids"), cpu: has("cpu") };
    let missing: Vec<&str> = CONTROLLERS.into_iter().filter(|name| !has(name)).collect();
    let why = format!("the controllers {} are not given to it", missing.join(", "));
    (can, (!missing.is_empty()).then_some(why))
}

/// The words of a file; none when it cannot be read.
fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// The kernel makes these files; one that is missing is not made.
fn write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that looks like a group.
    fn group(offered: &str, on: &str, procs: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.controllers"), offered).unwrap();
        fs::write(dir.path().join("cgroup.subtree_control"), on).unwrap();
        fs::write(dir.path().join("cgroup.procs"), procs).unwrap();
        dir
    }

    fn at(dir: &tempfile::TempDir) -> Wish {
        Wish::At(dir.path().to_owned())
    }

    #[test]
    fn what_is_on_can_be_limited() {
        let all = group("cpu io memory pids\n", "cpu memory pids\n", "");
        let way = settle(&at(&all), None);
        assert!(way.is_whole(), "{way:?}");
        assert!(way.describe().ends_with(": memory, tasks, cpu"), "{}", way.describe());
        let some = group("cpu memory\n", "memory\n", "");
        let Way::Cgroup(ground) = find(&at(&some), None) else { panic!("it was given") };
        assert_eq!(ground.can, Can { memory: true, cpu: true, ..Can::default() });
        settle(&at(&some), None);
        assert_eq!(fs::read(some.path().join("cgroup.subtree_control")).unwrap(), b"+cpury\n");
        let none = group("hugetlb\n", "", "");
        let way = find(&at(&none), None);
        assert!(!way.is_whole() && way.describe().contains("memory, pids, cpu are not given"));
    }

    #[test]
    fn without_a_group_of_ours_the_reason_is_told() {
        let why = |way: Way| match way {
            Way::Nowhere { why } => why,
            Way::Cgroup(ground) => panic!("{ground:?}"),
        };
        assert!(why(find(&Wish::Auto, None)).contains("no cgroup v2"));
        assert!(why(find(&Wish::Never, None)).contains("MUXVISOR_CGROUP"));
        let missing = Wish::At("/no/such/group".into());
        assert!(why(settle(&missing, None)).contains("/no/such/group cannot be written to"));
        let place = Place { dir: "/sys/fs/cgroup/user.slice/session-1.scope".into(), depth: 3 };
        assert!(why(find(&Wish::Auto, Some(&place))).contains("was not given to muxvisor"));
    }

    #[test]
    fn our_unit_is_known_by_its_name_also_from_the_subgroup() {
        let root = tempfile::tempdir().unwrap();
        for unit in ["muxvisor.service", "muxvisor-ab12.scope"] {
            let dir = root.path().join(unit);
            fs::create_dir_all(dir.join(SUBGROUP)).unwrap();
            for inside in [dir.clone(), dir.join(SUBGROUP)] {
                let place = Place { dir: inside, depth: 3 };
                assert_eq!(ours(&place), Ok(dir.clone()));
            }
        }
        let place = Place { dir: root.path().join("muxvisor-k3b7x9"), depth: 3 };
        assert!(ours(&place).is_err(), "the group of an agent is not a daemon's ground");
    }

    #[test]
    fn a_daemon_steps_aside_only_when_it_is_alone() {
        let own = format!("{}\n", std::process::id());
        let alone = group("memory\n", "", &own);
        fs::create_dir(alone.path().join(SUBGROUP)).unwrap();
        fs::write(alone.path().join(SUBGROUP).join("cgroup.procs"), "").unwrap();
        step_aside(alone.path()).unwrap();
        let inside = fs::read_to_string(alone.path().join(SUBGROUP).join("cgroup.procs")).unwrap();
        assert_eq!(inside.trim(), own.trim());
        let crowded = group("memory\n", "", &format!("{own}1\n"));
        assert!(step_aside(crowded.path()).unwrap_err().contains("other processes"));
        assert!(step_aside(Path::new("/x/muxvisor.service")).unwrap_err().contains("254"));
    }
}
