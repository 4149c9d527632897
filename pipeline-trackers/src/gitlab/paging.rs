//! Lists over pages.
//!
//! A page may be short or empty although others follow: what the token may not read is taken out afterwards. So only what
//! the answer says about the next page ends a list.

use std::collections::BTreeSet;

use pipeline_core::tracker::Reply;
use pipeline_core::tracker::TrackerError;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::GitLabTracker;
use super::PAGE;
use crate::http::Answer;
use crate::http::Request;

/// More pages than any list here can have.
pub(super) const MOST_PAGES: usize = 2000;
/// Times a list is begun anew because rows went away under it.
const MOST_READINGS: usize = 4;

impl GitLabTracker {
    /// Returns all rows, each once, in the order they came.
    ///
    /// Where a row goes away while the pages are read, those behind it move up and one could slip through between two
    /// pages: then the list is read again.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        request: Request,
        id: fn(&T) -> u64,
    ) -> Result<Reply<Vec<T>>, TrackerError> {
        for _ in 0..MOST_READINGS {
            if let Some(rows) = self.pages(&request, id).await? {
                return Ok(rows);
            }
        }
        let source = "its pages changed each time they were read".into();
        Err(self.client.invalid(&request, source))
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        request: &Request,
        id: fn(&T) -> u64,
    ) -> Result<Option<Reply<Vec<T>>>, TrackerError> {
        let (mut rows, mut seen) = (Vec::new(), BTreeSet::new());
        let mut page = request.clone();
        let mut date = None;
        let mut total = None;
        for read in 1..=MOST_PAGES {
            let (found, answer) = self.client.read_json::<Vec<T>>(&page).await?;
            let date = *date.get_or_insert(answer.date);
            let now = answer.number("x-total");
            if let (Some(before), Some(now)) = (total, now)
                && now < before
            {
                return Ok(None);
            }
            total = now.or(total);
            let full = found.len() >= PAGE as usize;
            rows.extend(found.into_iter().filter(|row| seen.insert(id(row))));
            match next(&page, &answer, full, read) {
                Some(next) => page = next,
                None => return Ok(Some(Reply::new(rows, date))),
            }
        }
        Err(self.client.invalid(request, "its pages do not end".into()))
    }
}

/// Returns the request of the next page, if there is one.
///
/// `read` is how many were read so far.
pub(super) fn next(page: &Request, answer: &Answer, full: bool, read: usize) -> Option<Request> {
    let link = answer.header("link");
    if let Some(query) = link.and_then(next_query) {
        // Only the parameters are taken: behind a proxy the link may name another host, or none that is reachable.
        return Some(page.clone().with_query(query));
    }
    match answer.header("x-next-page") {
        Some(number) if !number.is_empty() => Some(page.clone().replace_query("page", number)),
        Some(_) => None,
        // Something in between took both away, or the last page by keyset is full: only counting tells.
        None if link.is_none() && full => {
            let by_number = page
                .clone()
                .without_query("cursor")
                .without_query("pagination");
            Some(by_number.replace_query("page", read.saturating_add(1)))
        }
        None => None,
    }
}

/// Returns the parameters of the link that is marked as the next page.
fn next_query(link: &str) -> Option<Vec<(String, String)>> {
    let part = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let (_, rest) = part.split_once('<')?;
    let (address, _) = rest.split_once('>')?;
    let (_, query) = address.split_once('?')?;
    Some(
        form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_link_only_the_parameters_of_the_next_page_are_taken() {
        let link = "<http://internal:8080/api/v4/x?page=1&per_page=2>; rel=\"first\", \
                    <http://internal:8080/api/v4/x?cursor=a%2Bb&page=3>; rel=\"next\"";
        let found = next_query(link).unwrap();
        assert_eq!(
            found,
            [
                ("cursor".to_owned(), "a+b".to_owned()),
                ("page".to_owned(), "3".to_owned())
            ]
        );
        assert_eq!(next_query("<http://x/?a=1>; rel=\"last\""), None);
    }
}
