//! Plans in plans: where the file of one lies, that none is part of itself, and that none is
//! nested too deeply. Each file is looked at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use serde_json::Value as Json;

use super::draft::InputKind;

/// How many plans may stand in each other.
const DEPTH_MAX: usize = 4;
/// More than this, all plans of a plan together in the form in which they are kept, is refused.
const BYTES_MAX: usize = 16 << 20;

/// A plan that another one starts.
#[derive(Clone, Debug)]
pub(crate) struct Nested {
    /// Its text.
    pub(crate) text: String,
    /// As checked; `None` when it is wrong, which is reported.
    pub(crate) plan: Option<Json>,
    /// The inputs that it declares, and whether it must be given them.
    pub(crate) inputs: Option<BTreeMap<String, (InputKind, bool)>>,
    /// How large it is in the form in which it is kept.
    pub(crate) bytes: usize,
}

/// The plans that a plan starts, with their files, by the path as it is written.
pub(crate) type NestedPlans = BTreeMap<String, (PathBuf, Rc<Nested>)>;

/// Where in the nest a plan is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nest {
    /// The files around it, the outermost first, itself last.
    files: Vec<PathBuf>,
    /// What has been read.
    known: Rc<RefCell<BTreeMap<PathBuf, Rc<Nested>>>>,
}

impl Nest {
    /// The outermost plan.
    pub(crate) fn new(file: &Path) -> Self {
        Self { files: vec![plain(file)], known: Rc::default() }
    }

    /// Whether any plan is around this one.
    pub(crate) fn is_inner(&self) -> bool {
        self.files.len() > 1
    }

    /// The nest one deeper, or why not.
    pub(crate) fn enter(&self, file: &Path) -> Result<Self, String> {
        let file = plain(file);
        if let Some(at) = self.files.iter().position(|around| *around == file) {
            let around = self.files[at..].iter().chain([&file]).map(|file| name(file));
            return Err(format!("dependency cycle: {}", around.collect::<Vec<_>>().join(" -> ")));
        }
        if self.files.len() > DEPTH_MAX {
            return Err(format!("plans are nested more than {DEPTH_MAX} deep"));
        }
        let files = self.files.iter().cloned().chain([file]).collect();
        Ok(Self { files, known: Rc::clone(&self.known) })
    }

    /// The plan of that file, if it has been looked at.
    pub(crate) fn known(&self, file: &Path) -> Option<Rc<Nested>> {
        self.known.borrow().get(&plain(file)).cloned()
    }

    /// Keeps what was found out about a file.
    pub(crate) fn keep(&self, file: &Path, nested: Nested) -> Rc<Nested> {
        let nested = Rc::new(nested);
        self.known.borrow_mut().insert(plain(file), Rc::clone(&nested));
        nested
    }

    /// Whether that much text is too much.
    pub(crate) const fn is_too_large(bytes: usize) -> bool {
        bytes > BYTES_MAX
    }
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

/// The path without `.` and `..`, as far as it says.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !plain.pop() {
                    plain.push("..");
                }
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_not_part_of_itself_nor_nested_for_ever() {
        let nest = Nest::new(Path::new("/p/a.toml"));
        let inner = nest.enter(Path::new("/p/sub/../b.toml")).expect("it is another file");
        let circle = inner.enter(Path::new("/p/./a.toml")).unwrap_err();
        assert_eq!(circle, "dependency cycle: a.toml -> b.toml -> a.toml");
        let mut deep = nest;
        for n in 0..4 {
            deep = deep.enter(Path::new(&format!("/p/{n}.toml"))).expect("that is not too deep");
        }
        let too_deep = deep.enter(Path::new("/p/9.toml")).unwrap_err();
        assert_eq!(too_deep, "plans are nested more than 4 deep");
    }
}
