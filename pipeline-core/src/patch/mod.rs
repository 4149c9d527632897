//! A patch as data from a stranger: parser and policy.
