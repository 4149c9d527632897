//! Rows on pages.

use serde_json::Value;

use super::super::FakeAnswer;
use super::super::FakeRequest;
use super::state::State;

/// Answers with the page that is asked for.
pub(super) fn page(state: &State, request: &FakeRequest, rows: &[Value]) -> FakeAnswer {
    let number = |name: &str| {
        request
            .parameter(name)
            .and_then(|n| n.parse::<usize>().ok())
    };
    let most = state.switches.page;
    let per_page = number("per_page").unwrap_or(20).clamp(1, most);
    let keyset = request.parameter("pagination") == Some("keyset");
    let page = number(if keyset { "cursor" } else { "page" })
        .unwrap_or(1)
        .max(1);
    let total = rows.len();
    let mut from = (page - 1) * per_page;
    if state.switches.duplicated_rows && page > 1 {
        from -= 1;
    }
    let to = (page * per_page).min(total);
    let shown = rows.get(from.min(to)..to).unwrap_or_default();
    let more = to < total;
    let answer = FakeAnswer::json(200, &shown);
    let next = if more {
        (page + 1).to_string()
    } else {
        String::new()
    };
    if keyset {
        if !more {
            return answer;
        }
        let kept = request.query.iter().filter(|(name, _)| name != "cursor");
        let query: Vec<String> = kept
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .chain([format!("cursor={next}")])
            .collect();
        // Behind a proxy the host is the inner one.
        let link = format!(
            "<http://internal.example{}?{}>; rel=\"next\"",
            request.path,
            query.join("&")
        );
        return answer.with_header("Link", link);
    }
    answer
        .with_header("X-Page", page)
        .with_header("X-Per-Page", per_page)
        .with_header("X-Next-Page", next)
        .with_header("X-Total", total)
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
