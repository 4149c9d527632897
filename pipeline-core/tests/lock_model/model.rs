//! Agents, integrators and people around one thread, as a state machine.

use std::collections::BTreeSet;
use std::sync::Arc;

use pipeline_core::issue::EventId;
use pipeline_core::lock::LiveClaim;
use pipeline_core::lock::LockState;
use pipeline_core::lock::Standing;
use pipeline_core::lock::is_outdated;
use stateright::Model;
use stateright::Property;

use crate::thread::BEAT;
use crate::thread::By;
use crate::thread::Folds;
use crate::thread::LEASE;
use crate::thread::Memo;
use crate::thread::PARK;
use crate::thread::Posted;
use crate::thread::SETTLE;
use crate::thread::What;
use crate::thread::at;
use crate::thread::claim_ref;
use crate::thread::key;
use crate::thread::nonce;
use crate::thread::patch;

/// A part of the protocol that can be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Settle,
    LocalDeadline,
    BeatReread,
    Fence,
    TrailerRange,
    RoundCheck,
    LandedForAnyClaim,
    ForeignReleaseRevokes,
}

/// How large a world is: who is in it, how long it goes on, and how often each kind of trouble may happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) agents: usize,
    pub(crate) issues: u8,
    pub(crate) integrators: usize,
    pub(crate) ticks: u8,
    pub(crate) starts: u8,
    pub(crate) beats: u8,
    pub(crate) lost: u8,
    pub(crate) crashes: u8,
    pub(crate) moves: u8,
    pub(crate) releases: u8,
    pub(crate) refusals: u8,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) size: Size,
    pub(crate) without: Option<Part>,
    pub(crate) folds: Folds,
}

/// What an agent is doing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Doing {
    Nothing,
    /// It has read that nothing stands against a claim.
    Ready {
        issue: u8,
        round: u8,
        patch: Option<u8>,
    },
    /// It has sent its claim, and knows since when it stands there, or does not.
    Asked {
        issue: u8,
        round: u8,
        patch: Option<u8>,
        nonce: u8,
        sent: u8,
        landed: Option<u8>,
    },
    Works {
        issue: u8,
        claim: u8,
        nonce: u8,
        until: u8,
    },
    /// It has sent a beat that it has not seen yet.
    Beats {
        issue: u8,
        claim: u8,
        nonce: u8,
        until: u8,
        beat: u8,
        sent: u8,
    },
}

/// What an integrator is doing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Hand {
    Nothing,
    Built {
        patch: Offer,
        base: u8,
    },
    /// `current` = what the second fence should have found of the round.
    Fenced {
        patch: Offer,
        old: u8,
        list: u8,
        current: bool,
    },
    Landed {
        patch: Offer,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Offer {
    issue: u8,
    round: u8,
    claim: u8,
    nonce: u8,
    patch: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Commit {
    offer: Offer,
    current: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    now: u8,
    thread: Vec<Posted>,
    /// Sent, answer lost: each may land at any later time, or never.
    flying: BTreeSet<Memo>,
    nonces: u8,
    /// The round each issue is in; nothing = it is out.
    rounds: Vec<Option<u8>>,
    last_round: u8,
    agents: Vec<Doing>,
    hands: Vec<Hand>,
    branch: Vec<Commit>,
    losers: BTreeSet<u8>,
    starts: u8,
    beats: u8,
    lost: u8,
    crashes: u8,
    moves: u8,
    releases: u8,
    refusals: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    /// A comment becomes visible before D has passed.
    Show(usize),
    /// A write whose answer was lost lands after all.
    Land(Memo),
    /// An agent reads and finds nothing against a claim.
    Choose(usize, u8),
    Send(usize, Answer),
    /// An agent looks for its nonce after a lost answer, and sends again what is not there.
    Look(usize, Answer),
    Judge(usize),
    Beat(usize, Answer),
    Reread(usize),
    Submit(usize, Answer),
    /// An agent sees that its issue is out, stops and lets go.
    Stop(usize),
    Die(usize),
    Move(u8, bool),
    /// A person ends a claim, or one of ours sees that its issue moved on.
    Release(u8),
    Build(usize, u8),
    Fence(usize),
    Swap(usize),
    Say(usize),
    Refuse(usize),
    Crash(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Comes,
    IsLost,
}

impl World {
    pub(crate) fn whole(size: Size) -> Self {
        Self {
            size,
            without: None,
            folds: Folds::default(),
        }
    }

    pub(crate) fn without(size: Size, part: Part) -> Self {
        Self {
            without: Some(part),
            ..Self::whole(size)
        }
    }

    fn has(&self, part: Part) -> bool {
        self.without != Some(part)
    }

    /// Folds what a reader sees now.
    fn read(&self, s: &State) -> Arc<LockState> {
        self.fold(s, s.now, |p| p.seen)
    }

    /// Folds what everybody will see.
    fn settled(&self, s: &State) -> Arc<LockState> {
        self.fold(s, s.now, |_| true)
    }

    fn fold(&self, s: &State, now: u8, sees: impl Fn(&Posted) -> bool) -> Arc<LockState> {
        let mut memos = Vec::new();
        for (id, p) in (1_u8..).zip(&s.thread).filter(|(_, p)| sees(p)) {
            let mut memo = p.memo;
            match memo.what {
                // A release by anybody that frees at once is the integrator's.
                What::Release {
                    claim,
                    by: By::Other,
                } if !self.has(Part::ForeignReleaseRevokes) => {
                    let by = By::Integrator;
                    memo.what = What::Release { claim, by };
                }
                What::Landed { claim, .. } if !self.has(Part::LandedForAnyClaim) => {
                    let before = self.folds.of(memos.clone(), p.at);
                    if before.live_claim(real_id(claim), at(p.at)).is_none() {
                        continue;
                    }
                }
                _ => {}
            }
            memos.push((id, memo, p.at));
        }
        self.folds.of(memos, now)
    }

    fn post(s: &mut State, memo: Memo, answer: Answer) -> Option<u8> {
        match answer {
            Answer::Comes => {
                let (at, seen) = (s.now, false);
                s.thread.push(Posted { memo, at, seen });
                Some(s.now)
            }
            Answer::IsLost => {
                s.lost += 1;
                s.flying.insert(memo);
                None
            }
        }
    }

    fn fresh(s: &mut State) -> u8 {
        s.nonces += 1;
        s.nonces
    }

    fn current(s: &State, issue: u8) -> Option<EventId> {
        let round = s.rounds.get(usize::from(issue)).copied().flatten()?;
        Some(EventId(round.into()))
    }

    /// Returns whether an agent is at work now, by its own clock.
    fn works(&self, s: &State, doing: &Doing) -> Option<u8> {
        match doing {
            Doing::Works { issue, until, .. } | Doing::Beats { issue, until, .. } => {
                (!self.has(Part::LocalDeadline) || s.now <= *until).then_some(*issue)
            }
            Doing::Nothing | Doing::Ready { .. } | Doing::Asked { .. } => None,
        }
    }

    fn offers<'a>(state: &'a LockState, s: &'a State) -> impl Iterator<Item = Offer> + 'a {
        let of = |h: &LiveClaim| {
            Some(Offer {
                issue: number(h.issue.as_str().strip_prefix("A-")?),
                round: small(h.claim.round.0),
                claim: small(h.id.0),
                nonce: u8::from_str_radix(&h.nonce, 16).ok()?,
                patch: (0..=s.nonces).find(|n| h.submitted == Some(patch(*n)))?,
            })
        };
        // What is left of D since the submission is waited for.
        state
            .live(at(s.now))
            .filter(|h| {
                h.submitted_at.is_some_and(|t| {
                    t.plus(std::time::Duration::from_secs(SETTLE.into())) <= at(s.now)
                })
            })
            .filter_map(of)
    }

    fn named(&self, s: &State, offer: &Offer, from: u8) -> bool {
        let from = if self.has(Part::TrailerRange) {
            0
        } else {
            from
        };
        self.has(Part::Fence)
            && s.branch.iter().skip(from.into()).any(|c| {
                c.offer.nonce == offer.nonce
                    || (c.offer.issue, c.offer.round) == (offer.issue, offer.round)
            })
    }

    fn may_land(&self, s: &State, offer: &Offer) -> bool {
        if !self.has(Part::Fence) {
            return true;
        }
        let claim = claim_ref(offer.issue, offer.claim, offer.nonce, offer.round);
        let current = if self.has(Part::RoundCheck) {
            Self::current(s, offer.issue)
        } else {
            Some(claim.round)
        };
        self.read(s)
            .may_land(&claim, &patch(offer.patch), current, at(s.now))
            .is_ok()
    }

    fn is_current(s: &State, offer: &Offer) -> bool {
        Self::current(s, offer.issue) == Some(EventId(offer.round.into()))
    }

    fn answers(&self, s: &State) -> &'static [Answer] {
        if s.lost < self.size.lost {
            &[Answer::Comes, Answer::IsLost]
        } else {
            &[Answer::Comes]
        }
    }

    fn agent_actions(&self, s: &State, a: usize, doing: &Doing, out: &mut Vec<Action>) {
        match doing {
            Doing::Nothing => {
                if s.starts < self.size.starts {
                    out.extend((0..self.size.issues).map(|issue| Action::Choose(a, issue)));
                }
            }
            Doing::Ready { .. } => out.extend(self.answers(s).iter().map(|r| Action::Send(a, *r))),
            Doing::Asked {
                landed: Some(at), ..
            } => {
                if !self.has(Part::Settle) || s.now >= at + SETTLE {
                    out.push(Action::Judge(a));
                }
            }
            Doing::Asked {
                landed: None, sent, ..
            } => {
                if s.now >= sent + SETTLE {
                    out.extend(self.answers(s).iter().map(|r| Action::Look(a, *r)));
                }
            }
            Doing::Works { issue, .. } => {
                if self.works(s, doing).is_none() {
                    out.push(Action::Stop(a));
                    return;
                }
                if s.beats < self.size.beats {
                    out.extend(self.answers(s).iter().map(|r| Action::Beat(a, *r)));
                }
                out.extend(self.answers(s).iter().map(|r| Action::Submit(a, *r)));
                let round = self
                    .read(s)
                    .live(at(s.now))
                    .find(|h| h.issue == key(*issue))
                    .map(|h| h.claim.round);
                if Self::current(s, *issue) != round {
                    out.push(Action::Stop(a));
                }
            }
            Doing::Beats { sent, .. } => {
                if s.now >= sent + SETTLE {
                    out.push(Action::Reread(a));
                }
            }
        }
        if *doing != Doing::Nothing && s.crashes < self.size.crashes {
            out.push(Action::Die(a));
        }
    }

    fn hand_actions(&self, s: &State, i: usize, hand: &Hand, out: &mut Vec<Action>) {
        match hand {
            Hand::Nothing => {
                let state = self.read(s);
                out.extend(Self::offers(&state, s).map(|o| Action::Build(i, o.claim)));
                return;
            }
            Hand::Built { .. } => {
                out.push(Action::Fence(i));
                if s.refusals < self.size.refusals {
                    out.push(Action::Refuse(i));
                }
            }
            // At most a minute, which is less than a tick, lies between the list and the swap.
            Hand::Fenced { list, .. } => out.push(if s.now == *list {
                Action::Swap(i)
            } else {
                Action::Fence(i)
            }),
            Hand::Landed { .. } => out.push(Action::Say(i)),
        }
        if s.crashes < self.size.crashes {
            out.push(Action::Crash(i));
        }
    }

    fn choose(&self, s: &State, issue: u8) -> Option<Doing> {
        let state = self.read(s);
        let round = Self::current(s, issue)?;
        if state.has_landed(&key(issue), round) {
            return None;
        }
        // All issues hold one file: whatever blocks, blocks this one.
        if state.blocking(at(s.now)).next().is_some() {
            return None;
        }
        let orphan = state
            .orphans(at(s.now))
            .into_iter()
            .find(|o| o.issue == key(issue) && o.claim.round == round);
        Some(Doing::Ready {
            issue,
            round: small(round.0),
            patch: orphan.and_then(|o| (0..=s.nonces).find(|n| o.patch == patch(*n))),
        })
    }

    fn judge(&self, s: &mut State, a: usize) {
        let Doing::Asked {
            issue,
            round,
            patch,
            nonce: mine,
            sent,
            ..
        } = s.agents[a].clone()
        else {
            return;
        };
        let state = self.read(s);
        let current = Self::current(s, issue);
        let standing = state.standing(&nonce(mine), EventId(round.into()), current, at(s.now));
        s.agents[a] = Doing::Nothing;
        match standing {
            Standing::Lost => {
                // What is over by time alone was no loser.
                if state.blocking(at(s.now)).next().is_some() {
                    s.losers.insert(mine);
                }
            }
            Standing::NotCurrent(h) => {
                let by = By::Run(mine);
                let what = What::Release {
                    claim: small(h.id.0),
                    by,
                };
                let nonce = Self::fresh(s);
                Self::post(s, Memo { issue, nonce, what }, Answer::Comes);
            }
            Standing::Won(h) => {
                let claim = small(h.id.0);
                match patch {
                    Some(patch) => {
                        let nonce = Self::fresh(s);
                        let what = What::Submit { claim, patch };
                        Self::post(s, Memo { issue, nonce, what }, Answer::Comes);
                    }
                    None => {
                        let until = sent + LEASE;
                        s.agents[a] = Doing::Works {
                            issue,
                            claim,
                            nonce: mine,
                            until,
                        };
                    }
                }
            }
        }
    }

    fn agent_step(&self, s: &mut State, action: &Action) -> Option<()> {
        match *action {
            Action::Choose(a, issue) => {
                s.agents[a] = self.choose(s, issue)?;
                s.starts += 1;
            }
            Action::Send(a, answer) => {
                let Doing::Ready {
                    issue,
                    round,
                    patch,
                } = s.agents[a]
                else {
                    return None;
                };
                let nonce = Self::fresh(s);
                let what = What::Claim { round, patch };
                let landed = Self::post(s, Memo { issue, nonce, what }, answer);
                let sent = s.now;
                s.agents[a] = Doing::Asked {
                    issue,
                    round,
                    patch,
                    nonce,
                    sent,
                    landed,
                };
            }
            Action::Look(a, answer) => {
                let Doing::Asked {
                    issue,
                    round,
                    patch,
                    nonce,
                    sent,
                    ..
                } = s.agents[a]
                else {
                    return None;
                };
                let found = s
                    .thread
                    .iter()
                    .find(|p| p.seen && p.memo.nonce == nonce)
                    .map(|p| p.at);
                let landed = match (found, answer) {
                    (Some(at), Answer::Comes) => Some(at),
                    (Some(_), Answer::IsLost) => return None,
                    (None, answer) => {
                        let what = What::Claim { round, patch };
                        Self::post(s, Memo { issue, nonce, what }, answer)
                    }
                };
                // Counted from before the first sending, whatever was sent again.
                s.agents[a] = Doing::Asked {
                    issue,
                    round,
                    patch,
                    nonce,
                    sent,
                    landed,
                };
            }
            Action::Judge(a) => self.judge(s, a),
            Action::Beat(a, answer) => {
                let Doing::Works {
                    issue,
                    claim,
                    nonce,
                    until,
                } = s.agents[a]
                else {
                    return None;
                };
                let beat = Self::fresh(s);
                let what = What::Beat { claim };
                Self::post(
                    s,
                    Memo {
                        issue,
                        nonce: beat,
                        what,
                    },
                    answer,
                );
                s.beats += 1;
                let sent = s.now;
                s.agents[a] = if self.has(Part::BeatReread) {
                    Doing::Beats {
                        issue,
                        claim,
                        nonce,
                        until,
                        beat,
                        sent,
                    }
                } else {
                    Doing::Works {
                        issue,
                        claim,
                        nonce,
                        until: sent + BEAT,
                    }
                };
            }
            Action::Reread(a) => {
                let Doing::Beats {
                    issue,
                    claim,
                    nonce,
                    until,
                    beat,
                    sent,
                } = s.agents[a]
                else {
                    return None;
                };
                let seen = s.thread.iter().any(|p| p.seen && p.memo.nonce == beat);
                let live = self.read(s).live_claim(real_id(claim), at(s.now)).is_some();
                let until = if seen && live { sent + BEAT } else { until };
                s.agents[a] = if live {
                    Doing::Works {
                        issue,
                        claim,
                        nonce,
                        until,
                    }
                } else {
                    Doing::Nothing
                };
            }
            Action::Submit(a, answer) => {
                let Doing::Works {
                    issue,
                    claim,
                    nonce: patch,
                    ..
                } = s.agents[a]
                else {
                    return None;
                };
                let nonce = Self::fresh(s);
                let what = What::Submit { claim, patch };
                Self::post(s, Memo { issue, nonce, what }, answer);
                s.agents[a] = Doing::Nothing;
            }
            Action::Stop(a) => {
                let Doing::Works {
                    issue,
                    claim,
                    nonce: mine,
                    ..
                } = s.agents[a]
                else {
                    return None;
                };
                let nonce = Self::fresh(s);
                let what = What::Release {
                    claim,
                    by: By::Run(mine),
                };
                Self::post(s, Memo { issue, nonce, what }, Answer::Comes);
                s.agents[a] = Doing::Nothing;
            }
            Action::Die(a) => {
                s.crashes += 1;
                s.agents[a] = Doing::Nothing;
            }
            _ => return None,
        }
        Some(())
    }

    fn hand_step(&self, s: &mut State, action: &Action) -> Option<()> {
        match *action {
            Action::Build(i, claim) => {
                let state = self.read(s);
                let patch = Self::offers(&state, s).find(|o| o.claim == claim)?;
                let base = small(s.branch.len() as u64);
                s.hands[i] = if self.named(s, &patch, base) {
                    Hand::Landed { patch }
                } else if self.may_land(s, &patch) {
                    Hand::Built { patch, base }
                } else {
                    return None;
                };
            }
            Action::Fence(i) => {
                let (patch, base) = match s.hands[i] {
                    Hand::Built { patch, base } => (patch, base),
                    Hand::Fenced { patch, old, .. } => (patch, old),
                    Hand::Nothing | Hand::Landed { .. } => return None,
                };
                s.hands[i] = if self.named(s, &patch, base) {
                    Hand::Landed { patch }
                } else if self.may_land(s, &patch) {
                    let (old, list) = (small(s.branch.len() as u64), s.now);
                    let current = Self::is_current(s, &patch);
                    Hand::Fenced {
                        patch,
                        old,
                        list,
                        current,
                    }
                } else {
                    Hand::Nothing
                };
            }
            Action::Swap(i) => {
                let Hand::Fenced {
                    patch,
                    old,
                    current,
                    ..
                } = s.hands[i]
                else {
                    return None;
                };
                if usize::from(old) != s.branch.len() {
                    s.hands[i] = Hand::Built { patch, base: old };
                    return Some(());
                }
                s.branch.push(Commit {
                    offer: patch,
                    current,
                });
                s.hands[i] = Hand::Landed { patch };
            }
            Action::Say(i) => {
                let Hand::Landed { patch } = s.hands[i] else {
                    return None;
                };
                let nonce = Self::fresh(s);
                let what = What::Landed {
                    claim: patch.claim,
                    round: patch.round,
                };
                Self::post(
                    s,
                    Memo {
                        issue: patch.issue,
                        nonce,
                        what,
                    },
                    Answer::Comes,
                );
                s.hands[i] = Hand::Nothing;
            }
            Action::Refuse(i) => {
                let Hand::Built { patch, .. } = s.hands[i] else {
                    return None;
                };
                s.refusals += 1;
                let nonce = Self::fresh(s);
                let what = What::Refused { claim: patch.claim };
                Self::post(
                    s,
                    Memo {
                        issue: patch.issue,
                        nonce,
                        what,
                    },
                    Answer::Comes,
                );
                s.hands[i] = Hand::Nothing;
            }
            Action::Crash(i) => {
                s.crashes += 1;
                s.hands[i] = Hand::Nothing;
            }
            _ => return None,
        }
        Some(())
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 1,
            thread: Vec::new(),
            flying: BTreeSet::new(),
            nonces: 0,
            rounds: vec![Some(1); self.size.issues.into()],
            last_round: 1,
            agents: vec![Doing::Nothing; self.size.agents],
            hands: vec![Hand::Nothing; self.size.integrators],
            branch: Vec::new(),
            losers: BTreeSet::new(),
            starts: 0,
            beats: 0,
            lost: 0,
            crashes: 0,
            moves: 0,
            releases: 0,
            refusals: 0,
        }]
    }

    fn actions(&self, s: &State, out: &mut Vec<Action>) {
        if s.now < self.size.ticks {
            out.push(Action::Tick);
        }
        out.extend(
            (0..s.thread.len())
                .filter(|i| !s.thread[*i].seen)
                .map(Action::Show),
        );
        out.extend(s.flying.iter().copied().map(Action::Land));
        for (a, doing) in s.agents.iter().enumerate() {
            self.agent_actions(s, a, doing, out);
        }
        for (i, hand) in s.hands.iter().enumerate() {
            self.hand_actions(s, i, hand, out);
        }
        if s.moves < self.size.moves {
            for issue in 0..self.size.issues {
                out.push(Action::Move(issue, s.rounds[usize::from(issue)].is_none()));
            }
        }
        for h in self.read(s).live(at(s.now)) {
            let issue = number(h.issue.as_str().trim_start_matches("A-"));
            if s.releases < self.size.releases || is_outdated(&h.claim, Self::current(s, issue)) {
                out.push(Action::Release(small(h.id.0)));
            }
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut s = before.clone();
        match &action {
            Action::Tick => {
                // Whatever landed a D ago is visible to everybody from now on.
                s.now += 1;
                for p in &mut s.thread {
                    p.seen |= p.at + SETTLE <= s.now;
                }
            }
            Action::Show(i) => s.thread[*i].seen = true,
            Action::Land(memo) => {
                s.flying.remove(memo);
                Self::post(&mut s, *memo, Answer::Comes);
            }
            Action::Move(issue, within) => {
                s.moves += 1;
                let at = usize::from(*issue);
                s.rounds[at] = if *within {
                    s.last_round += 1;
                    Some(s.last_round)
                } else {
                    None
                };
            }
            Action::Release(claim) => {
                let state = self.read(&s);
                let h = state.live_claim(real_id(*claim), at(s.now))?;
                let issue = number(h.issue.as_str().trim_start_matches("A-"));
                if !is_outdated(&h.claim, Self::current(&s, issue)) {
                    s.releases += 1;
                }
                let nonce = Self::fresh(&mut s);
                let what = What::Release {
                    claim: *claim,
                    by: By::Other,
                };
                Self::post(&mut s, Memo { issue, nonce, what }, Answer::Comes);
            }
            other => {
                if self.agent_step(&mut s, other).is_none()
                    && self.hand_step(&mut s, other).is_none()
                {
                    return None;
                }
            }
        }
        Some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I1 a round is integrated once", |_, s: &State| {
                let rounds: BTreeSet<_> = s
                    .branch
                    .iter()
                    .map(|c| (c.offer.issue, c.offer.round))
                    .collect();
                rounds.len() == s.branch.len()
            }),
            Property::always("I3 no two work on one thing", |m: &Self, s: &State| {
                s.agents.iter().filter_map(|d| m.works(s, d)).count() <= 1
            }),
            Property::always("I5 a loser never holds", |m: &Self, s: &State| {
                s.losers.is_empty()
                    || !m
                        .settled(s)
                        .live(at(s.now))
                        .any(|h| s.losers.iter().any(|n| nonce(*n) == h.nonce))
            }),
            Property::always("I6 nothing lands that is not started", |_, s: &State| {
                s.branch.iter().all(|c| c.current)
            }),
            Property::always(
                "I7 what is said to have landed is closed",
                |m: &Self, s: &State| {
                    s.thread.iter().all(|p| match p.memo.what {
                        What::Landed { round, .. } => m
                            .settled(s)
                            .has_landed(&key(p.memo.issue), EventId(round.into())),
                        _ => true,
                    })
                },
            ),
            Property::always("I8 time alone frees everything", |m: &Self, s: &State| {
                m.settled(s).blocking(at(s.now + PARK + 1)).next().is_none()
            }),
            Property::sometimes("an issue lands", |_, s: &State| !s.branch.is_empty()),
        ]
    }
}

fn real_id(claim: u8) -> pipeline_core::issue::CommentId {
    pipeline_core::issue::CommentId(claim.into())
}

fn number(text: &str) -> u8 {
    text.parse().expect("a small number")
}

fn small(n: u64) -> u8 {
    u8::try_from(n).expect("a small number")
}
