//! What can be typed after `cargo xtask`. By hand: a parser's crates would triple the time of the first build.

use anyhow::bail;

use crate::suite::Step;

pub(crate) const HELP: &str = "\
usage: cargo xtask COMMAND

  demo                 set up this machine, build everything, run the ETF replicator on real data
  test [--only STEP]…  set up this machine, run everything that CI runs; or only the steps that are named
  tidy                 check layers, manifests, documents and habits
  bench [ARGUMENT]…    measure; arguments go to the bench program (`--help` lists them)
  setup                install what the machine lacks

steps of `test`: format, tidy, clippy, components, examples, tests, doctests, docs
";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Setup,
    Demo,
    /// In the order in which they run; all of them when none was named.
    Test(Vec<Step>),
    Tidy,
    Bench(Vec<String>),
}

pub(crate) fn parse(arguments: Vec<String>) -> anyhow::Result<Command> {
    let mut rest = arguments.into_iter();
    let Some(command) = rest.next() else { return Ok(Command::Help) };
    let rest: Vec<String> = rest.collect();
    if command == "bench" {
        return Ok(Command::Bench(rest));
    }
    if rest.iter().any(|it| it == "--help" || it == "-h") {
        return Ok(Command::Help);
    }
    let parsed = match command.as_str() {
        "test" => return Ok(Command::Test(parse_steps(&rest)?)),
        "help" | "--help" | "-h" => Command::Help,
        "setup" => Command::Setup,
        "demo" => Command::Demo,
        "tidy" => Command::Tidy,
        _ => bail!("there is no command `{command}`\n\n{HELP}"),
    };
    match rest.first() {
        Some(surplus) => bail!("`{command}` takes no argument, but got `{surplus}`"),
        None => Ok(parsed),
    }
}

fn parse_steps(arguments: &[String]) -> anyhow::Result<Vec<Step>> {
    let mut chosen = Vec::new();
    let mut rest = arguments.iter();
    while let Some(it) = rest.next() {
        let names = match it.strip_prefix("--only=") {
            Some(names) => names,
            None if it == "--only" => match rest.next() {
                Some(names) => names,
                None => bail!("`--only` needs the name of a step\n\n{HELP}"),
            },
            None => bail!("`test` knows `--only STEP`, but got `{it}`"),
        };
        for name in names.split(',') {
            match Step::ALL.iter().find(|it| it.name() == name) {
                Some(step) => chosen.push(*step),
                None => bail!("there is no step `{name}`\n\n{HELP}"),
            }
        }
    }
    Ok(Step::ALL.into_iter().filter(|it| chosen.is_empty() || chosen.contains(it)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> anyhow::Result<Command> {
        parse(text.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn without_names_every_step_runs() {
        assert_eq!(typed("test").expect("valid"), Command::Test(Step::ALL.to_vec()));
    }

    #[test]
    fn named_steps_run_in_the_usual_order() {
        let expected = Command::Test(vec![Step::Format, Step::Tidy, Step::Tests]);
        assert_eq!(typed("test --only tests,tidy --only=format").expect("valid"), expected);
    }

    #[test]
    fn arguments_of_the_bench_are_passed_on_unread() {
        let expected = Command::Bench(vec!["--peers".to_owned(), "--help".to_owned()]);
        assert_eq!(typed("bench --peers --help").expect("valid"), expected);
    }

    #[test]
    fn what_nobody_knows_is_refused_by_name() {
        for (text, named) in [
            ("tset", "`tset`"),
            ("test --only tydi", "`tydi`"),
            ("test fast", "`fast`"),
            ("tidy now", "`now`"),
        ] {
            let error = typed(text).expect_err("refused").to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn the_help_lists_every_step() {
        for it in Step::ALL {
            assert!(HELP.contains(it.name()), "{}", it.name());
        }
    }
}
