//! Looks for ways out of the sandbox, and reports through the log what it found.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::exports::tidemill::task::handler::Error;
use crate::tidemill::task::context::{self as host, Level};

fn say(message: String) {
    host::log(Level::Info, &message, &[]);
}

fn finish() -> Result<(), Error> {
    crate::arrays::begin().map(drop)
}

pub fn clock() -> Result<(), Error> {
    let begin = Instant::now();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    say(format!("wall {wall}"));
    say(format!("logical {}", host::logical_time()));
    say(format!("advances {}", Instant::now() > begin));
    finish()
}

pub fn sleep() -> Result<(), Error> {
    let begin = Instant::now();
    std::thread::sleep(Duration::from_secs(3600));
    say(format!("slept {}", begin.elapsed().as_secs()));
    finish()
}

pub fn random() -> Result<(), Error> {
    use std::hash::{BuildHasher, RandomState};
    say(format!("random {}", RandomState::new().hash_one(1)));
    finish()
}

pub fn environment() -> Result<(), Error> {
    say(format!("variables {}", std::env::vars().count()));
    say(format!("arguments {}", std::env::args().count()));
    let mut line = String::new();
    say(format!("stdin {:?}", std::io::stdin().read_line(&mut line).ok()));
    finish()
}

pub fn files() -> Result<(), Error> {
    for path in ["/etc/hostname", ".", "/", "out.txt"] {
        say(format!("read {path} {}", std::fs::read(path).is_ok()));
        say(format!("list {path} {}", std::fs::read_dir(path).is_ok()));
    }
    say(format!("write {}", std::fs::write("out.txt", "x").is_ok()));
    finish()
}

pub fn context() -> Result<(), Error> {
    let identity = host::identity();
    say(format!("{} {} {}", identity.run, identity.node, identity.table));
    say(format!("attempt {} seed {}", identity.attempt, identity.seed));
    let window = host::window();
    say(format!("window {:?} {:?} {:?}", window.start, window.end, window.as_of));
    for member in host::members("in") {
        say(format!("member {} {}", member.node, member.key));
    }
    say(format!("members elsewhere {}", host::members("elsewhere").len()));
    for entry in host::progress_of("out") {
        say(format!("progress {:?} {}", entry.identifiers, entry.last));
    }
    host::progress(3, Some(10));
    host::metric("loss", 0.5);
    say(format!("checkpoint {:?}", host::checkpoint_load()));
    host::checkpoint_save(b"half way")?;
    say(format!("checkpoint {:?}", host::checkpoint_load().map(|it| it.len())));
    host::log(Level::Warn, "with fields", &[("day".into(), "7".into())]);
    finish()
}

/// The first attempt never ends by itself; one that finds its checkpoint does.
pub fn checkpoint_once() -> Result<(), Error> {
    if host::checkpoint_load().is_some_and(|it| it == b"half way") {
        say("went on half way".to_owned());
        return finish();
    }
    host::checkpoint_save(b"half way")?;
    host::progress(1, Some(2));
    crate::limits::endless_loop()
}

pub fn talk() -> Result<(), Error> {
    print!("to st");
    println!("dout");
    eprintln!("to stderr");
    println!("two\nlines");
    print!("no end");
    std::io::stdout().flush().expect("stdout takes it");
    finish()
}

pub fn nan() -> Result<(), Error> {
    let zero = black_box(0.0_f64);
    let from_payload = black_box(f64::from_bits(0xfff8_0000_dead_beef)) + black_box(1.0);
    say(format!("{:016x} {:016x}", (zero / zero).to_bits(), from_payload.to_bits()));
    finish()
}
