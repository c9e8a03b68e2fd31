//! Measures what `docs/performance.md` promises, and prints each figure beside a floor that was
//! measured in the same rounds: on another machine the ratios mean something, the times do not.
//!
//! `scripts/bench` builds this for release and runs it. It starts its own tmux servers and daemons
//! in private directories, ends what it started, and asserts nothing.
#![expect(clippy::disallowed_methods, reason = "a benchmark starts programs and reads the clock")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure ends with the reason")]

mod floor;
mod house;
mod measures;
mod rooms;
mod stamp;
mod table;

use table::Table;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["stamp", file, rest @ ..] => stamp::leave(file, rest),
        // `cargo test --all-targets` starts benchmarks too, without this word.
        words if words.contains(&"--bench") => bench(words),
        _ => println!("run by scripts/bench"),
    }
}

fn bench(words: &[&str]) {
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).copied()
    };
    let rounds: u32 = after("--rounds").map_or(3, |text| text.parse().expect("a number of rounds"));
    let only = after("--only");
    let long = words.contains(&"--long");
    let mut table = Table::default();
    let _sweep = rooms::Sweep;
    for round in 1..=rounds {
        for (name, measure) in measures::all(long) {
            if only.is_none_or(|only| name.contains(only)) {
                measure(&mut table);
            }
        }
        eprintln!("round {round} of {rounds}, load {}", load());
    }
    println!("{table}");
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
