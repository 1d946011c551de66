//! Tables several times larger than what a task may use of memory stream through it.

use crate::program::{Bench, guest};

#[test]
fn a_table_several_times_the_memory_limit_streams_through() {
    const ROWS: u64 = 3_000_000;
    let bench = Bench::empty();
    let mut csv = String::with_capacity(64 << 20);
    csv.push_str("time,x,y,z\n");
    for row in 0..ROWS {
        // Seconds since 2000 as a timestamp; the numbers differ, so that they do not compress away.
        let (day, second) = (row / 86_400, row % 86_400);
        let (month, day) = (1 + day / 28, 1 + day % 28);
        let value = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        csv.push_str(&format!(
            "2000-{month:02}-{day:02}T{:02}:{:02}:{:02}Z,{value}.5,{row},{}\n",
            second / 3600,
            second / 60 % 60,
            second % 60,
            value % 1000
        ));
    }
    bench.write("ticks.csv", &csv);
    drop(csv);
    bench.write(
        "pipeline.toml",
        &format!(
            "[pipeline]\nname = \"large\"\n[tasks]\nidentity = \"{}\"\n[sources.ticks]\npath = \"ticks.csv\"\n\
             [nodes.copy]\ntask = \"identity\"\ninputs = {{ in = \"ticks\" }}\nresources = {{ memory = \"16MiB\" }}\n",
            guest("identity")
        ),
    );
    let record = bench.run(&[]);
    let copy = &record["nodes"][1];
    assert_eq!(
        (&copy["node"], &copy["state"], &copy["tables"][0]["rows"]),
        (&"copy".into(), &"computed".into(), &ROWS.into())
    );
    let peak = copy["memory_peak_bytes"].as_u64().expect("a number");
    const DECODED: u64 = ROWS * 4 * 8;
    const { assert!(DECODED > 5 * (16 << 20), "the table is several times the limit") };
    assert!(peak <= 16 << 20, "the guest stays within its limit: {peak}");
}
