//! The dossier: what an agent is given about one issue, and the prompt made of it.
//!
//! A [`Dossier`] is built purely from what was read of the tracker. [`render`] turns it into the prompt of one task:
//! our instructions around blocks of untrusted text. Each block is fenced by a nonce of the run, says whose words it
//! holds, and shows what people do not see (hidden characters, comments of HTML and Markdown) as what it is. Nothing
//! of this is a boundary by itself: what an agent may *do* is limited by mechanism, not by its prompt.

mod fence;
mod parts;
mod prompt;
mod settings;
mod source;
mod template;
pub(crate) mod visible;

pub use self::parts::CheckPart;
pub use self::parts::Content;
pub use self::parts::DossierFile;
pub use self::parts::LeftOut;
pub use self::parts::Noted;
pub use self::parts::RepairPart;
pub use self::parts::Role;
pub use self::parts::Said;
pub use self::prompt::Prompt;
pub use self::prompt::PromptError;
pub use self::prompt::render;
pub use self::settings::ContextDocument;
pub use self::settings::PromptLimits;
pub use self::settings::PromptSettings;
pub use self::template::TemplateError;
use crate::agent::TaskKind;
use crate::clock::Timestamp;
use crate::issue::Account;
use crate::issue::AccountRef;
use crate::issue::Attachment;
use crate::issue::AttachmentId;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::mirror::Mirrored;
use crate::start::Started;
use crate::thread::Protocol;
use crate::thread::Thread;

/// What an agent is given about one issue.
///
/// Pure: equal readings give an equal dossier. Every text is as stored; it becomes harmless in [`render`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dossier {
    /// The issue.
    pub issue: IssueKey,
    /// Its title.
    pub title: String,
    /// Its description.
    pub body: String,
    /// Whose words title and description are.
    pub role: Role,
    /// The display name of who filed it.
    pub author: Option<String>,
    /// Its labels, type and milestone.
    pub labels: Vec<String>,
    /// When it was filed.
    pub created: Timestamp,
    /// What people said, oldest first.
    pub said: Vec<Said>,
    /// The triage memo.
    pub triage: Option<Noted>,
    /// The check memo: the latest one, or for work the one the starter saw.
    pub check: Option<CheckPart>,
    /// Why the last patch of this round went back.
    pub rework: Option<Noted>,
    /// The attachments.
    pub files: Vec<DossierFile>,
    /// The answer that has to be given again.
    pub repair: Option<RepairPart>,
    /// What stays out.
    pub left_out: LeftOut,
}

impl Dossier {
    /// Builds the dossier of the reading stages: everything that people wrote, and our latest memos.
    ///
    /// # Examples
    /// ```
    /// use pipeline_core::clock::Timestamp;
    /// use pipeline_core::dossier::Dossier;
    /// use pipeline_core::issue::{Issue, IssueKey};
    /// use pipeline_core::memo::{Markers, SigningKeys};
    /// use pipeline_core::mirror::Mirrored;
    /// use pipeline_core::status::Status;
    /// use pipeline_core::thread::Protocol;
    ///
    /// let protocol = Protocol {
    ///     accounts: Vec::new(),
    ///     ignore_authors: Vec::new(),
    ///     markers: Markers::default(),
    ///     keys: SigningKeys::new("tracker.example"),
    /// };
    /// let key = IssueKey::new("A-1")?;
    /// let issue = Issue::new(key, "Login fails", Status::Open, Timestamp::EPOCH);
    /// let read = Mirrored::of(issue, Vec::new(), Vec::new());
    /// assert_eq!(Dossier::of(&read, &protocol, &[]).title, "Login fails");
    /// # Ok::<(), pipeline_core::issue::InvalidIssueKey>(())
    /// ```
    #[must_use]
    pub fn of(read: &Mirrored, protocol: &Protocol, approvers: &[AccountRef]) -> Self {
        let thread = read.thread(protocol);
        let check = thread.checks().next_back();
        let seen = check.as_ref().and_then(|c| c.read_to);
        let mut dossier = Self::frame(read, protocol, approvers, &thread);
        for c in thread.people() {
            dossier.say(c, protocol, approvers, check.is_some() && Some(c.id) > seen);
        }
        dossier.check = check.as_ref().map(CheckPart::of);
        dossier
    }

    /// Builds the input of the work itself, for an issue that was started.
    ///
    /// Only what the starter saw enters (the digest of the check memo binds it), and later words of approvers. Of the
    /// rework memos it takes the newest one of this round.
    #[must_use]
    pub fn for_work(
        read: &Mirrored,
        protocol: &Protocol,
        approvers: &[AccountRef],
        started: &Started<'_>,
    ) -> Self {
        let thread = read.thread(protocol);
        let mut dossier = Self::frame(read, protocol, approvers, &thread);
        let seen = started.check.read_to;
        for c in thread.people() {
            let later = Some(c.id) > seen;
            if protocol.is_ours(&c.author) {
                dossier.left_out.unbound += 1;
            } else if later && !started.later_by_approvers.contains(&c.id) {
                dossier.left_out.later += 1;
            } else {
                dossier.say(c, protocol, approvers, later);
            }
        }
        dossier.check = Some(CheckPart::of(&started.check));
        dossier.rework = newest_rework(&thread, started.approval.round());
        dossier
    }

    /// Asks for the answer again, because the last one did not fit.
    #[must_use]
    pub fn with_repair(mut self, of: TaskKind, answer: &str, problem: &str) -> Self {
        self.repair = Some(RepairPart {
            of,
            answer: answer.to_owned(),
            problem: problem.to_owned(),
        });
        self
    }

    /// Notes what became of an attachment's content.
    #[must_use]
    pub fn with_content(mut self, attachment: AttachmentId, content: Content) -> Self {
        if let Some(file) = self
            .files
            .iter_mut()
            .find(|f| f.attachment.id == attachment)
        {
            file.content = content;
        }
        self
    }

    /// Returns the addresses of the images, in the order in which the prompt names them.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|f| match &f.content {
            Content::Image { address } => Some(address.as_str()),
            Content::NotFetched
            | Content::Text { .. }
            | Content::Stored { .. }
            | Content::Refused { .. } => None,
        })
    }

    fn frame(
        read: &Mirrored,
        protocol: &Protocol,
        approvers: &[AccountRef],
        thread: &Thread,
    ) -> Self {
        let issue = &read.issue;
        let role = match &issue.author {
            Some(author) if protocol.is_ours(author) => Role::Pipeline,
            Some(author) => role_of(author, protocol, approvers),
            None => Role::Person,
        };
        let mut dossier = Self {
            issue: issue.key.clone(),
            title: issue.title.clone(),
            body: issue.body.clone(),
            role,
            author: issue.author.as_ref().map(|a| a.name.clone()),
            labels: issue
                .labels
                .iter()
                .chain(&issue.kind)
                .chain(&issue.milestone)
                .cloned()
                .collect(),
            created: issue.created,
            said: Vec::new(),
            triage: thread.triage().map(|(c, m)| Noted::of(c, m)),
            check: None,
            rework: None,
            files: Vec::new(),
            repair: None,
            left_out: LeftOut {
                altered: thread.tampered().count(),
                ..LeftOut::default()
            },
        };
        dossier.attach(&issue.attachments, None, protocol, approvers);
        dossier
    }

    fn say(&mut self, c: &Comment, protocol: &Protocol, approvers: &[AccountRef], new: bool) {
        if !c.body.trim().is_empty() {
            self.said.push(Said {
                comment: c.id,
                role: role_of(&c.author, protocol, approvers),
                author: c.author.name.clone(),
                at: c.created,
                text: c.body.clone(),
                new,
                edited: c.edited.is_some(),
            });
        }
        self.attach(&c.attachments, Some(c.id), protocol, approvers);
    }

    /// Takes the attachments that the text digest takes: those of ours and of ignored accounts stay out.
    fn attach(
        &mut self,
        attachments: &[Attachment],
        comment: Option<CommentId>,
        protocol: &Protocol,
        approvers: &[AccountRef],
    ) {
        for a in attachments {
            let role = match &a.author {
                Some(by) if protocol.is_ours(by) || protocol.is_ignored(by) => continue,
                Some(by) => role_of(by, protocol, approvers),
                None => Role::Person,
            };
            if self.files.iter().any(|f| f.attachment.id == a.id) {
                continue;
            }
            self.files.push(DossierFile {
                attachment: a.clone(),
                comment,
                role,
                content: Content::NotFetched,
            });
        }
    }
}

/// Returns the role of somebody's words; one of our own accounts never speaks as an approver.
fn role_of(author: &Account, protocol: &Protocol, approvers: &[AccountRef]) -> Role {
    if !protocol.is_ours(author) && approvers.iter().any(|a| a.names(author)) {
        Role::Approver
    } else {
        Role::Person
    }
}

fn newest_rework(thread: &Thread, round: EventId) -> Option<Noted> {
    thread
        .status_memos("rework")
        .rfind(|(_, m)| m.fields.one("round").and_then(|r| r.parse().ok()) == Some(round.0))
        .map(|(c, m)| Noted::of(c, m))
}

#[cfg(test)]
mod tests;
