//! What is said of services of which the truth is known.

use truth::draw::Draw;
use truth::matrix::{Judged, run};
use truth::truth::{Off, Rightness};
use truth::{show, twins};

/// Twins that do not get a right verdict yet, as `case:run`.
const NOT_YET: &[&str] = &["vllm-loop:natural"];

/// Share of wrong verdicts in a small draw, in percent, at most.
const WRONG_PERCENT: f64 = 3.0;

/// The same of services that are called healthy and are not.
const FALSELY_HEALTHY_PERCENT: f64 = 1.0;

#[test]
fn few_verdicts_of_a_small_draw_are_wrong() {
    let matrix = run(1, 0..300, 2).expect("drawn");
    let (wrong, healthy) = (
        matrix.wrong_percent(),
        matrix.percent(Judged::is_falsely_healthy),
    );
    assert!(
        wrong <= WRONG_PERCENT && healthy <= FALSELY_HEALTHY_PERCENT,
        "wrong {wrong:.1} %, falsely healthy {healthy:.1} %\n{}",
        matrix.render(20)
    );
}

#[test]
fn each_twin_of_a_known_service_gets_a_right_verdict_and_its_capacity() {
    for twin in twins::all() {
        let name = format!("{}:{}", twin.name, twin.run);
        let driven = twin.drive(1).expect("driven");
        let diagnosis = &driven.summary.diagnosis;
        let (_, rightness) = twin.truth.judge(diagnosis);
        let off = twin.truth.off(diagnosis.inferred_capacity);
        let is_right = rightness == Rightness::Right && off.is_none_or(|off| off == Off::Exact);
        let is_known = NOT_YET.contains(&name.as_str());
        assert_ne!(
            is_right,
            is_known,
            "{name} is {}\n{}",
            twin.truth.shown(),
            show::run(&twin.told, &driven)
        );
    }
}

/// With the process and the upstream's count known, what was right without them is not wrong.
#[test]
fn more_evidence_makes_no_right_family_wrong() {
    let mut wrong = Vec::new();
    for number in 0..150 {
        let judged = |knows: bool| {
            let mut draw = Draw::of(3, number);
            (draw.told.has_pid, draw.told.has_upstream) = (knows, knows);
            Judged::of_draw(draw, 3, number).expect("drawn").0
        };
        let (less, more) = (judged(false), judged(true));
        if less.rightness == Rightness::Right && more.rightness == Rightness::Wrong {
            wrong.push(more.line());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_draw_is_the_same_each_time() {
    for number in 0..5 {
        let line = || Judged::of(7, number).expect("drawn").0.line();
        assert_eq!(line(), line());
    }
}

#[test]
fn the_page_shows_what_is_drawn() {
    let page = include_str!("../../../docs/truth.md");
    assert!(
        page.contains(&show::ranges()),
        "docs/truth.md must contain:\n{}",
        show::ranges()
    );
}
