use super::*;
use crate::config::Period;

fn stage(every: &str, active: &str, days: &[Day]) -> StageTimes {
    StageTimes {
        every: Period::parse(every).expect("period").get(),
        active: ActiveHours::parse(active).expect("hours"),
        days: days.to_vec(),
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("time")
}

fn zone(name: &str) -> TimeZone {
    time_zone(Some(name)).expect("zone")
}

#[test]
fn the_first_run_is_at_once_and_the_next_one_an_interval_later() {
    let s = stage("15m", "07:00-21:00", &[]);
    let tz = zone("Asia/Tokyo");
    let now = at("2026-03-02T10:00:00+09:00");
    assert_eq!(next_run(&s, &tz, None, now), now);
    assert_eq!(
        next_run(&s, &tz, Some(now), now),
        at("2026-03-02T10:15:00+09:00")
    );
    assert_eq!(
        next_run(&s, &tz, Some(at("2026-03-02T09:00:00+09:00")), now),
        now
    );
}

#[test]
fn outside_the_hours_it_waits_for_the_next_opening_in_its_own_zone() {
    let s = stage("15m", "07:00-21:00", &[]);
    let tz = zone("Asia/Tokyo");
    assert_eq!(
        next_run(&s, &tz, None, at("2026-03-02T06:59:59+09:00")),
        at("2026-03-02T07:00:00+09:00")
    );
    let closing = at("2026-03-02T21:00:00+09:00");
    assert_eq!(
        next_run(&s, &tz, None, closing),
        at("2026-03-03T07:00:00+09:00")
    );
    // The interval may lead out of the hours.
    let last = at("2026-03-02T20:50:00+09:00");
    assert_eq!(
        next_run(&s, &tz, Some(last), last),
        at("2026-03-03T07:00:00+09:00")
    );
}

#[test]
fn hours_across_midnight_belong_to_the_day_they_open_on() {
    let s = stage("1h", "22:00-06:00", &[Day::Fri]);
    let tz = zone("UTC");
    assert!(is_active(&s, &tz, at("2026-03-06T22:00:00Z")));
    assert!(is_active(&s, &tz, at("2026-03-07T05:59:00Z")));
    assert!(!is_active(&s, &tz, at("2026-03-07T22:00:00Z")));
    assert_eq!(
        next_run(&s, &tz, None, at("2026-03-07T06:00:00Z")),
        at("2026-03-13T22:00:00Z")
    );
}

#[test]
fn the_days_of_the_week_are_kept() {
    let s = stage("15m", "always", &[Day::Mon, Day::Tue]);
    let tz = zone("Europe/Berlin");
    // 2026-03-04 is a Wednesday.
    assert_eq!(
        next_run(&s, &tz, None, at("2026-03-04T12:00:00+01:00")),
        at("2026-03-09T00:00:00+01:00")
    );
}

#[test]
fn a_day_with_23_hours_opens_at_its_own_seven_o_clock() {
    let s = stage("15m", "07:00-21:00", &[]);
    let tz = zone("Europe/Berlin");
    // On 2026-03-29 clocks go from 02:00 to 03:00.
    assert_eq!(
        next_run(&s, &tz, None, at("2026-03-29T01:59:00+01:00")),
        at("2026-03-29T07:00:00+02:00")
    );
    // An opening inside the gap is taken at its end.
    let gap = stage("15m", "02:30-21:00", &[]);
    assert_eq!(
        next_run(&gap, &tz, None, at("2026-03-29T00:30:00+01:00")),
        at("2026-03-29T03:30:00+02:00")
    );
}

#[test]
fn a_clock_that_went_backwards_does_not_stall_a_stage() {
    let s = stage("15m", "always", &[]);
    let tz = zone("UTC");
    let now = at("2026-03-02T10:00:00Z");
    let tomorrow = at("2026-03-03T10:00:00Z");
    assert_eq!(
        next_run(&s, &tz, Some(tomorrow), now),
        at("2026-03-02T10:15:00Z")
    );
}

#[test]
fn an_unknown_zone_is_a_sentence() {
    let said = time_zone(Some("Mars/Olympus")).expect_err("no such zone");
    assert_eq!(
        said,
        "there is no time zone `Mars/Olympus`: write it like Europe/Berlin or Asia/Tokyo"
    );
}

#[test]
fn hours_are_read_and_printed() {
    for (text, shown) in [
        ("07:00-21:00", "07:00-21:00"),
        ("always", "always"),
        ("00:00-24:00", "always"),
    ] {
        assert_eq!(ActiveHours::parse(text).expect(text).to_string(), shown);
    }
    for bad in ["", "7-21", "25:00-26:00", "07:00"] {
        assert!(ActiveHours::parse(bad).is_err(), "{bad}");
    }
}
