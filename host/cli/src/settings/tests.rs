//! Which value wins, and what is refused.

use std::path::PathBuf;

use super::layers::{Layers, Shown};
use super::table::{SETTINGS, SettingFlags};

fn flags(typed: &[(&'static str, &str)]) -> SettingFlags {
    let typed = typed.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    SettingFlags { config: None, typed }
}

fn file(text: &str) -> Option<(PathBuf, String)> {
    Some((PathBuf::from("t.toml"), text.to_owned()))
}

fn shown(layers: &Layers, key: &str) -> (Option<String>, String) {
    let row = layers.shown().into_iter().find(|it| it.key == key).expect("a setting");
    let Shown { value, from, .. } = row;
    (value, from)
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let problem = Layers::of(&flags(&[]), file(text), |_| None).expect_err("refused");
    assert_eq!(problem.to_string(), expected);
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_and_that_over_the_default() {
    let text = "headers_max = 10\nrequests_max = 20\nlog_level = \"debug\"\n";
    let environment = |name: &str| match name {
        "TIDEMILL_REQUESTS_MAX" => Some("21".to_owned()),
        "TIDEMILL_LOG_LEVEL" => Some("warn".to_owned()),
        _ => None,
    };
    let layers = Layers::of(&flags(&[("log_level", "error")]), file(text), environment).expect("settings");
    let some = |value: &str, from: &str| (Some(value.to_owned()), from.to_owned());
    assert_eq!(shown(&layers, "listen"), some("127.0.0.1:7433", "default"));
    assert_eq!(shown(&layers, "headers_max"), some("10", "t.toml"));
    assert_eq!(shown(&layers, "requests_max"), some("21", "TIDEMILL_REQUESTS_MAX"));
    assert_eq!(shown(&layers, "log_level"), some("error", "--log-level"));
    assert_eq!(shown(&layers, "tls_cert"), (None, "default".to_owned()));
}

#[test]
fn an_unknown_key_is_named_with_the_nearest() {
    refused(
        "listen = \"127.0.0.1:1\"\nheader_max = 3\n",
        "error[unknown-setting]: there is no setting `header_max`\n  in: t.toml, line 2, column 1\n  to mend: did you \
         mean `headers_max`? `tidemill config show` lists them all",
    );
}

#[test]
fn a_wrong_value_is_named_with_what_is_taken() {
    refused(
        "headers_max = \"many\"\n",
        "error[bad-setting]: `headers_max` is string `\"many\"`, and takes a whole number\n  in: t.toml, line 1, column 1\n  \
         to mend: `tidemill serve --help` says what it takes",
    );
    refused(
        "listen = \"here\"\n",
        "error[bad-setting]: `listen` is `here`, which is no address and port such as `127.0.0.1:7433`\n  in: t.toml, \
         line 1, column 1\n  to mend: `tidemill serve --help` says what it takes",
    );
    let problem = Layers::of(&flags(&[("request_timeout", "10")]), None, |_| None).expect_err("refused");
    assert!(
        problem.to_string().contains("`--request-timeout` is wrong: duration `10` lacks a unit"),
        "{problem}"
    );
}

#[test]
fn a_file_that_is_no_toml_is_named_with_line_and_column() {
    let problem = Layers::of(&flags(&[]), file("a = 1\nb = = 2\n"), |_| None).expect_err("refused");
    assert!(problem.to_string().contains("in: t.toml, line 2, column 5"), "{problem}");
}

#[test]
fn a_password_is_never_shown() {
    let url = "postgres://ann:tops3cret@db:5432/tidemill?password=tops3cret";
    let text = format!("store = \"{url}\"\n");
    let layers = Layers::of(&flags(&[]), file(&text), |_| None).expect("settings");
    let shown: String = layers.shown().iter().filter_map(|it| it.value.clone()).collect();
    assert!(!shown.contains("tops3cret"), "{shown}");
    assert!(shown.contains("postgres://ann:…@db:5432/tidemill?…"), "{shown}");
    let problem = Layers::of(&flags(&[]), file("store = { password = \"tops3cret\" }\n"), |_| None)
        .expect_err("refused");
    assert!(!problem.to_string().contains("tops3cret"), "{problem}");
}

#[test]
fn every_setting_has_a_default_or_is_optional_and_a_flag() {
    let layers = Layers::of(&flags(&[]), None, |_| None).expect("settings");
    assert_eq!(layers.shown().len(), SETTINGS.len());
    super::Settings::of(&super::all(layers)).expect("the defaults are settings");
}
