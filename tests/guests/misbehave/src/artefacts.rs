//! Leaves files, well and badly.

use crate::exports::tidemill::task::handler::Error;
use crate::tidemill::task::artefacts::{Artefact, create};

const KIND: &str = "text/plain";

/// Pieces of two files in turns; one is dropped early, the other never written to.
pub fn good() -> Result<(), Error> {
    let report = create("report.txt", KIND)?;
    let chart = create("chart.svg", "image/svg+xml")?;
    report.write(b"first, ")?;
    chart.write(b"<svg/>")?;
    drop(chart);
    report.write(b"second")?;
    create("empty", KIND)?;
    crate::arrays::begin().map(drop)
}

/// What it does wrong does not end it: the attempt must fail all the same.
fn heedless(_: Result<Artefact, Error>) -> Result<(), Error> {
    crate::arrays::begin().map(drop)
}

pub fn escaping() -> Result<(), Error> {
    heedless(create("../../etc/passwd", KIND))
}

pub fn unnameable() -> Result<(), Error> {
    heedless(create(&"x".repeat(1 << 20), KIND))
}

pub fn no_media_type() -> Result<(), Error> {
    heedless(create("report.txt", "text/plain\r\nX-Evil: yes"))
}

pub fn twice() -> Result<(), Error> {
    create("report.txt", KIND)?;
    heedless(create("report.txt", KIND))
}

pub fn too_many() -> Result<(), Error> {
    for number in 0..=1000 {
        create(&format!("{number}.txt"), KIND)?;
    }
    crate::arrays::begin().map(drop)
}

pub fn flood() -> Result<(), Error> {
    let file = create("flood.bin", KIND)?;
    loop {
        file.write(&[7; 65_536])?;
    }
}
