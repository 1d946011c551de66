//! `/api/v1/runs/{id}/events`: a run's steps as they become durable, as server-sent events. Goes on after a gap from the
//! number in `Last-Event-ID`.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use tidemill_driver::{Follower, RunId};
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use super::runs::{find, transition};
use crate::ApiProblem;
use crate::context::Context;
use crate::extract::PathOf;
use crate::wire;

/// How often to look where another host may carry the run out.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const EVENTS_AHEAD: usize = 256;

pub(super) fn routes() -> Routes {
    Routes { viewer: OpenApiRouter::new().routes(routes!(follow_run)), ..Routes::default() }
}

/// Follow a run: each step as it happens, until the run has ended
#[utoipa::path(get, path = "/api/v1/runs/{id}/events", tag = "runs",
    params(("id" = String, Path, description = "the run, or the beginning of its id")),
    responses(
        (status = 200, description = "events, each as the schema says", body = wire::RunEvent, content_type = "text/event-stream"),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn follow_run(
    State(context): State<Context>,
    PathOf(id): PathOf<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiProblem> {
    let run = RunId(find(&context, &id).await?.id);
    let seen = headers.get("last-event-id").and_then(|it| it.to_str().ok()).and_then(|it| it.parse().ok());
    let from = seen.map_or(0, |it: u64| it + 1);
    let (sender, receiver) = tokio::sync::mpsc::channel(EVENTS_AHEAD);
    tokio::spawn(async move { follow(&context, run, from, &sender).await });
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default()))
}

async fn follow(
    context: &Context,
    run: RunId,
    from: u64,
    events: &tokio::sync::mpsc::Sender<Result<Event, Infallible>>,
) {
    let (mut moves, mut stopping) = (context.live.moves(), context.stopping());
    let mut follower = Follower::new(run.clone());
    let mut number = 0;
    loop {
        // Asked before the steps: what came before the end is then surely among them.
        let row = context.store.run(&run.0).await;
        let facts = context.live.next_transitions(&mut follower).await;
        let (Ok(Some(row)), Ok(facts)) = (row, facts) else {
            // Whoever follows comes again and goes on where this ends.
            return;
        };
        for fact in facts {
            if number >= from {
                let it = transition(number, fact);
                let data = serde_json::to_string(&it).expect("a transition has only string keys");
                let event = Event::default().id(number.to_string()).event(it.fact).data(data);
                if events.send(Ok(event)).await.is_err() {
                    return;
                }
            }
            number += 1;
        }
        if row.status.is_ended() {
            return;
        }
        tokio::select! {
            _ = moved(&mut moves, &run) => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = events.closed() => return,
            _ = stopping.wait_for(|it| *it) => return,
        }
    }
}

/// Until this run has moved, or so much has that this one may have.
async fn moved(moves: &mut tokio::sync::broadcast::Receiver<tidemill_driver::Moved>, run: &RunId) {
    while let Ok(it) = moves.recv().await {
        if it.run == *run {
            return;
        }
    }
}
