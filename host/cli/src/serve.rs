//! `tidemill serve`: the host as a service.

use std::io::Write as _;

use anyhow::Context as _;
use tidemill_server::{Service, start_telemetry, stop_signal};

use crate::Ending;
use crate::args::ServeArgs;
use crate::complain::talk;
use crate::settings::Settings;

pub(crate) fn serve(args: &ServeArgs) -> anyhow::Result<Ending> {
    let settings = Settings::read(&args.flags)?;
    settings.serve.check()?;
    // Outlives the runtime: what is sent last is sent when all else has ended.
    let _telemetry = start_telemetry(&settings.telemetry)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start threads")?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        let service = Service::start(settings.serve).await?;
        announce(&service)?;
        service.run(stop).await?;
        Ok(Ending::Done)
    })
}

/// On stdout for programs; how to go on, for people.
fn announce(service: &Service) -> anyhow::Result<()> {
    let (url, options) = (service.url(), &service.context().options);
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening on {url}")?;
    if let Some(token) = service.first_token() {
        writeln!(stdout, "first token: {token}")?;
        talk!("this token of an admin is shown once: `tidemill login {url}` asks for it");
    }
    stdout.flush()?;
    let data = options.data_dir.display();
    talk!("store `{}`, data in `{data}`, docs at {url}/api/v1/docs", service.context().store.shown_url());
    Ok(())
}
