//! The data of an event stream, one event at a time.

/// Cuts a stream of bytes into the data of its events. Bounded by the caller, who counts what comes in.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
}

impl Events {
    /// Takes bytes as they come and returns the data of the events that are whole now.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                let line = line.strip_suffix(b"\r").unwrap_or(&line);
                whole.extend(self.end_line(line));
            } else {
                self.line.push(*byte);
            }
        }
        whole
    }

    fn end_line(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return std::mem::take(&mut self.has_data).then_some(data);
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
            let value = value.strip_prefix(b" ").unwrap_or(value);
            self.data.extend_from_slice(value);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &[u8] = b": hello\r\nevent: a\r\ndata: {\"a\":1}\r\n\r\ndata: one\ndata:two\n\n\n\nid: 3\n\ndata: \n\ndata: cut";

    #[test]
    fn only_whole_events_with_data_come_out() {
        let events = Events::default().feed(STREAM);
        assert_eq!(
            events,
            [b"{\"a\":1}".to_vec(), b"one\ntwo".to_vec(), Vec::new()]
        );
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_does_not_matter(cuts in proptest::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut events = Events::default();
            let (mut got, mut from) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([STREAM.len()]) {
                got.extend(events.feed(&STREAM[from..cut]));
                from = cut;
            }
            prop_assert_eq!(got, Events::default().feed(STREAM));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _events = Events::default().feed(&bytes);
        }
    }
}
