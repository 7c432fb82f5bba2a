//! The screens, driven by keys on a made-up machine.

use super::app::{App, Effect};
use super::drive::Driver;
use super::event::{Event, Input};
use super::fixture;
use super::history::Screen;
use super::key::Key;
use super::keymap::Pane;
use super::legend::legend;
use super::model::{Place, Subject};
use super::prompt::Overlay;
use super::screen::paint;
use super::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::sync::mpsc::channel;

fn driver(columns: u16, rows: u16, theme: Theme) -> Driver {
    let (events, inbox) = channel();
    let app = App::new("vmcore".to_owned(), theme, (columns, rows));
    Driver { app, jobs: fixture::jobs(events), inbox }
}

/// The application after a script of keys.
fn after(keys: &str, columns: u16, rows: u16) -> Driver {
    let mut driver = driver(columns, rows, Theme::new(true, false));
    driver.rest();
    for key in Key::script(keys).unwrap() {
        assert!(driver.press(key), "{keys} quits at {key}");
    }
    driver
}

fn buffer(app: &App) -> Buffer {
    let mut buf = Buffer::empty(Rect::new(0, 0, app.size.0, app.size.1));
    paint(app, &mut buf);
    buf
}

fn text(app: &App) -> String {
    legend(&buffer(app), app.theme).0
}

#[test]
fn the_first_screen_says_who_holds_the_machine_up() {
    let driver = after("", 120, 40);
    let (text, styles) = legend(&buffer(&driver.app), driver.app.theme);
    insta::assert_snapshot!("first_120x40", text);
    insta::assert_snapshot!("first_120x40_styles", styles);
}

#[test]
fn a_small_terminal_shows_the_same_in_two_panes() {
    insta::assert_snapshot!("first_80x24", text(&after("", 80, 24).app));
    insta::assert_snapshot!("first_40x12", text(&after("", 40, 12).app));
}

#[test]
fn a_large_terminal_shows_more_columns() {
    insta::assert_snapshot!("first_200x50", text(&after("", 200, 50).app));
}

#[test]
fn before_anything_is_read_there_is_a_frame() {
    let mut driver = driver(80, 24, Theme::new(true, false));
    // Nothing is started: this is the frame of the first moment.
    driver.app.settle();
    let text = text(&driver.app);
    assert!(text.contains("hangscope  vmcore") && text.contains("opening"), "{text}");
    assert!(text.contains("reading the tasks"), "{text}");
}

#[test]
fn every_screen_draws_at_every_size() {
    let scripts = [
        "",
        "<tab>",
        "<tab><tab>",
        "<tab><tab><tab>",
        "L",
        "w",
        "b",
        "D",
        "m",
        "d",
        "S",
        "<tab>S",
        ":sys<enter>",
        "?",
        "v",
        "g1",
        ":b",
        "s",
        "+",
        "/java",
    ];
    for keys in scripts {
        let mut driver = after(keys, 80, 24);
        for (columns, rows) in (0..40)
            .map(|n| (n * 3, n))
            .chain((1..=300).step_by(37).map(|n| (n, 60)))
            .chain([(1, 1), (300, 100), (2, 50), (300, 2)])
        {
            driver.apply(Event::Resize(columns, rows));
            buffer(&driver.app);
        }
    }
}

#[test]
fn a_frame_leads_to_its_source_and_the_source_along_the_stack() {
    // The first line of the backtrace is a function inlined into the first frame.
    let driver = after("<tab>S", 80, 24);
    assert_eq!(driver.app.here.screen, Screen::Source);
    insta::assert_snapshot!("source_80x24", text(&driver.app));
    let place = |keys| {
        let driver = after(keys, 120, 40);
        let of = driver.app.source_of().map(|of| of.position.clone());
        (of.unwrap().function.unwrap().to_string(), driver.app.here.windows.source.cursor + 1)
    };
    assert_eq!(place("<tab>S"), ("context_switch".to_owned(), 5245));
    assert_eq!(place("<tab>jS"), ("__schedule".to_owned(), 6562));
    assert_eq!(place("<tab>S}"), ("__schedule".to_owned(), 6562));
    assert_eq!(place("<tab>S}}"), ("schedule".to_owned(), 6638));
    assert_eq!(place("<tab>S}}{"), ("__schedule".to_owned(), 6562));
    assert_eq!(place("<tab>S}}{{{{"), ("context_switch".to_owned(), 5245));
    // Its cursor is its own, and is there again after a jump.
    assert_eq!(place("<tab>Sjjjd o").1, 5248);
    assert_eq!(place("<tab>S/line(77)<enter>").1, 77);
}

#[test]
fn a_command_runs_at_the_task_and_the_frame_that_are_looked_at() {
    let said = |keys| text(&after(keys, 120, 40).app);
    let task = format!("{:?}", Some(fixture::address(113)));
    assert!(said("/113<enter>:frame<enter>").contains(&format!("task {task} frame None")));
    // The third frame comes after the first, with what is inlined there, and the second.
    assert!(said("g113<enter>jjjj:frame<enter>").contains(&format!("task {task} frame Some(4)")));
    assert!(said("g113<enter>jjj:frame<enter>").contains("frame Some(3)"));
    assert!(said("<tab>S}}:frame<enter>").contains("frame Some(2)"));
}

#[test]
fn addresses_in_the_log_are_chosen_named_and_followed() {
    let pointed = |keys| after(keys, 120, 40).app.pointed().map(|at| at.0);
    assert_eq!(pointed("D"), None);
    assert_eq!(pointed("Dk"), Some(0xffff_c900_0006_7d58));
    assert_eq!(pointed("Dkl"), Some(0xffff_88ca_4106_1680));
    assert_eq!(pointed("Dkllh"), Some(0xffff_c900_0006_7d58));
    assert!(text(&after("Dkl", 120, 40).app).contains("an allocated object of mm_struct"));
    assert_eq!(after("Dkl<enter>", 120, 40).app.here.memory.0, 0xffff_88ca_4106_1680);
    assert_eq!(after("Dkm", 120, 40).app.here.memory.0, 0xffff_c900_0006_7d58);
    assert_eq!(after("Dkw", 120, 40).app.here.command, "kmem 0xffffc90000067d58");
}

#[test]
fn every_list_with_addresses_points_at_the_one_under_the_cursor() {
    let pointed = |keys, columns| after(keys, columns, 40).app.pointed().map(|at| at.0);
    let task = Some(fixture::address(113).0);
    assert_eq!(pointed("/113<enter>", 120), task);
    // Where there is little room, the keys need it.
    assert_eq!(pointed("/113<enter>", 80), None);
    assert_eq!(pointed("gschedule<enter>/init_task<enter>", 120), Some(0xffff_ffff_8152_8900));
    assert!(pointed("gschedule<enter>/push<enter>", 120).is_some());
    assert!(pointed("<tab>S", 120).is_some() && pointed("L", 120).is_some());
}

#[test]
fn without_a_file_the_source_screen_names_the_line_and_what_is_missing() {
    let text = text(&after("<tab>S}}}", 80, 24).app);
    assert!(text.contains("kernel/locking/mutex.c:679 is not at hand"), "{text}");
    assert!(text.contains("__mutex_lock_common inlined"), "{text}");
    let text = self::text(&after("<tab>GS", 80, 24).app);
    assert!(text.contains("no line is known"), "{text}");
}

#[test]
fn without_colour_or_unicode_the_screen_is_plain() {
    for keys in ["", "L", "b", "w", "D", "m", "d", "S", "?", ":", "s"] {
        let mut driver = driver(120, 40, Theme::new(false, true));
        driver.rest();
        for key in Key::script(keys).unwrap() {
            driver.press(key);
        }
        let buf = buffer(&driver.app);
        for cell in &buf.content {
            assert!(cell.symbol().is_ascii(), "{keys}: {:?}", cell.symbol());
            assert!(
                [cell.fg, cell.bg].iter().all(|c| *c == ratatui::style::Color::Reset),
                "{keys}: {cell:?}"
            );
        }
    }
}

#[test]
fn until_the_user_moves_a_culprit_is_selected() {
    assert_eq!(after("", 120, 40).app.here.task, Some(fixture::address(111)));
    assert_ne!(after("j", 120, 40).app.here.task, Some(fixture::address(111)));
}

#[test]
fn states_and_filter_narrow_the_list_and_escape_widens_it() {
    assert_eq!(after("u", 120, 40).app.listed.len(), 11);
    assert_eq!(after("su", 120, 40).app.listed.len(), 11);
    assert_eq!(after("ur", 120, 40).app.listed.len(), 12);
    assert_eq!(after("/abba<enter>", 120, 40).app.listed.len(), 3);
    assert_eq!(after("/abba<enter><esc>", 120, 40).app.listed.len(), 15);
    assert!(text(&after("/zzz", 120, 40).app).contains("no task fits the filter"));
}

#[test]
fn sorting_by_a_column_is_shown_and_reversed() {
    let driver = after(">", 120, 40);
    assert!(text(&driver.app).contains("by PID▲"));
    let driver = after(">R", 120, 40);
    assert!(text(&driver.app).contains("by PID▼"));
    let first = driver.app.rows[driver.app.listed[0]].task.pid;
    assert_eq!(first, 160);
}

#[test]
fn a_task_leads_to_its_lock_and_the_lock_to_its_holder_and_back() {
    // The wait stands under the third frame, and two inlined functions before that; Enter goes to the lock in the tree.
    let driver = after("/113<enter><enter>jjjjj<enter>", 120, 40);
    assert_eq!(driver.app.here.pane, Pane::Locks);
    let mut driver = driver;
    driver.press(Key::script("h").unwrap()[0]);
    driver.press(Key::script("<enter>").unwrap()[0]);
    assert_eq!(driver.app.here.task, Some(fixture::address(112)));
    assert!(driver.app.here.filter.is_empty(), "the filter hid the task that was gone to");
    for _ in 0..2 {
        driver.press(Key::script("o").unwrap()[0]);
    }
    assert_eq!(driver.app.here.task, Some(fixture::address(113)));
    assert_eq!(driver.app.here.filter, "113");
    driver.press(Key::script("O").unwrap()[0]);
    assert_eq!(driver.app.here.pane, Pane::Locks);
}

#[test]
fn keys_typed_ahead_wait_for_the_answer_that_they_mean() {
    let mut driver = after("", 120, 40);
    // All at once, as a terminal delivers what was typed while the screen was busy.
    for key in Key::script("/113<enter><enter>jjjjj<enter>").unwrap() {
        driver.apply(Event::Input(Input::Key(key)));
    }
    driver.rest();
    let row = &driver.app.lock_rows[driver.app.here.windows.locks.cursor];
    let lock = row.node.lock().map(|lock| fixture::locks().locks[lock].name.clone());
    assert_eq!(lock.as_deref(), Some("hu_abba_a"));
}

#[test]
fn jumps_go_to_tasks_memory_and_members_and_say_why_they_do_not() {
    let driver = after("g113<enter>", 120, 40);
    assert_eq!(
        (driver.app.here.task, driver.app.here.pane),
        (Some(fixture::address(113)), Pane::Backtrace)
    );
    assert_eq!(after("g0x1000<enter>", 120, 40).app.here.screen, Screen::Memory);
    let driver = after("gtask_struct.mm 111<enter>", 120, 40);
    assert_eq!(driver.app.here.pane, Pane::Inspector);
    assert!(text(&driver.app).contains("map_count"));
    assert_eq!(driver.app.here.windows.nodes.cursor, 1);
    let driver = after("gnowhere<enter>", 120, 40);
    assert!(matches!(&driver.app.overlay, Some(Overlay::Prompt(prompt)) if prompt.error.is_some()));
    assert!(text(&driver.app).contains("nowhere: no pid"));
}

#[test]
fn members_expand_and_pointers_are_followed() {
    let driver = after("<tab><tab>j<space>", 120, 40);
    assert!(text(&driver.app).contains("map_count"));
    let driver = after("<tab><tab>j<enter>", 120, 40);
    assert!(text(&driver.app).contains("struct mm_struct ffff88ca41061680"));
    let driver = after("<tab><tab>j<space>h", 120, 40);
    assert!(!text(&driver.app).contains("map_count"));
}

#[test]
fn a_fault_is_shown_with_its_reason() {
    let shown = text(&after("", 200, 50).app);
    assert!(shown.contains("files = ? 0x10: not mapped"), "{shown}");
}

#[test]
fn folded_waiters_unfold() {
    let mut driver = after("L<home>", 120, 40);
    let fold = driver
        .app
        .lock_rows
        .iter()
        .position(|row| matches!(row.node, super::locktree::LockNode::Fold { .. }));
    for _ in 0..fold.unwrap() {
        driver.press(Key::script("j").unwrap()[0]);
    }
    assert!(text(&driver.app).contains("3 more readers like these"));
    driver.press(Key::script("<enter>").unwrap()[0]);
    assert!(!text(&driver.app).contains("3 more readers like these"));
    insta::assert_snapshot!("locks_120x40", text(&driver.app));
}

#[test]
fn why_a_task_is_blocked_is_told_up_to_the_root() {
    // One of the readers behind a spinning holder, then the bystander of a deadlock.
    let driver = after("/143<enter>b", 80, 24);
    let (text, styles) = legend(&buffer(&driver.app), driver.app.theme);
    insta::assert_snapshot!("why_80x24", text);
    insta::assert_snapshot!("why_80x24_styles", styles);
    let driver = after("/113<enter>b", 200, 50);
    let (text, styles) = legend(&buffer(&driver.app), driver.app.theme);
    insta::assert_snapshot!("why_200x50", text);
    insta::assert_snapshot!("why_200x50_styles", styles);
}

#[test]
fn whom_a_task_blocks_is_a_tree_whose_waiters_unfold() {
    let mut driver = after("/142<enter>B", 80, 24);
    let (text, styles) = legend(&buffer(&driver.app), driver.app.theme);
    insta::assert_snapshot!("whom_80x24", text);
    insta::assert_snapshot!("whom_80x24_styles", styles);
    let fold =
        driver.app.why.rows.iter().position(|row| row.line.text().contains("3 more readers"));
    driver.app.here.windows.why.cursor = fold.unwrap();
    driver.press(Key::script("<space>").unwrap()[0]);
    let shown = self::text(&driver.app);
    assert!(shown.contains("java[150]") && !shown.contains("more like these"), "{shown}");
}

/// The application with the cursor of the story on the first line that has this text.
fn on_why(keys: &str, text: &str) -> Driver {
    let mut driver = after(keys, 120, 40);
    let row = driver.app.why.rows.iter().position(|row| row.line.text().contains(text));
    driver.app.here.windows.why.cursor = row.expect(text);
    driver
}

#[test]
fn every_claim_opens_what_it_rests_on() {
    let enter = Key::script("<enter>").unwrap()[0];
    let mut driver = on_why("/143<enter>b", "frame #3");
    driver.press(enter);
    let subject = Subject::Frame { task: fixture::address(142), n: 3 };
    assert_eq!(driver.app.here.subject, Some(subject));
    driver.press(Key::script("o").unwrap()[0]);
    assert_eq!(driver.app.here.screen, Screen::Why);
    let mut driver = on_why("/143<enter>b", "called down_read at schedule+22");
    driver.press(enter);
    assert_eq!((driver.app.here.screen, driver.app.here.code.0 & 0xfff), (Screen::Code, 0x916));
    // What is certain rests on the lock's own words.
    let mut driver = on_why("/113<enter>b", "certain: the owner field");
    driver.press(enter);
    let at = fixture::locks().locks[1].at;
    let lock = Subject::Object { ty: "struct mutex".to_owned(), at };
    assert_eq!(driver.app.here.subject, Some(lock));
}

#[test]
fn the_evidence_on_the_lock_screen_has_a_cursor_of_its_own_and_every_piece_opens() {
    fn press(driver: &mut Driver, keys: &str) {
        for key in Key::script(keys).unwrap() {
            driver.press(key);
        }
    }
    // The first line is a root blocker.
    let mut driver = after("L<home><tab>", 120, 40);
    let rows = |driver: &Driver| {
        let windows = driver.app.here.windows;
        (windows.locks.cursor, windows.evidence.cursor)
    };
    press(&mut driver, "j");
    assert_eq!(rows(&driver), (0, 1));
    // Line by line down to a piece, and into what it rests on; back to the same line.
    let open = |driver: &mut Driver, text: &str| {
        let row = driver.app.evidence.iter().position(|row| row.line.text().contains(text));
        driver.app.here.windows.evidence.cursor = row.expect(text);
        press(driver, "<enter>");
        let place = (driver.app.here.screen, driver.app.here.pane);
        let shown = text_of(driver);
        press(driver, "o");
        assert_eq!(driver.app.here.windows.evidence.cursor, row.unwrap());
        assert!(driver.app.here.screen == Screen::Locks && driver.app.here.weighing);
        (place, shown)
    };
    let (place, _) = open(&mut driver, "what the log says");
    assert_eq!(place.0, Screen::Log);
    press(&mut driver, "<enter>");
    assert_eq!((driver.app.here.screen, driver.app.here.windows.log.cursor), (Screen::Log, 1));
    press(&mut driver, "o");
    let (place, _) = open(&mut driver, "its frame #3");
    assert_eq!(place, (Screen::Overview, Pane::Inspector));
    let (place, _) = open(&mut driver, "called down_read at");
    assert_eq!(place.0, Screen::Code);
    // What is copied, and what `b` asks about, is the line under the cursor.
    driver.app.here.windows.evidence.cursor = 0;
    press(&mut driver, "b");
    let at = fixture::address(142);
    assert_eq!((driver.app.here.screen, driver.app.here.task), (Screen::Why, Some(at)));
    press(&mut driver, "o<esc>");
    assert!(driver.app.here.screen == Screen::Locks && !driver.app.here.weighing);
    // Another line of the graph has evidence of its own, from its beginning.
    press(&mut driver, "j");
    assert_eq!(rows(&driver), (1, 0));
    press(&mut driver, "<esc>");
    assert_eq!(driver.app.here.screen, Screen::Overview);
}

fn text_of(driver: &Driver) -> String {
    text(&driver.app)
}

#[test]
fn a_field_of_a_lock_opens_with_the_cursor_on_it() {
    let mut driver = after("L<home>", 120, 40);
    let of = driver.app.locks.ready().unwrap().locks[1].at;
    let on = |driver: &mut Driver, offset| {
        let ty = "struct mutex".to_owned();
        driver.app.go(&Place::Member { ty, of, at: of.plus(offset) });
        driver.rest();
        let nodes = &driver.app.inspection.ready().unwrap().nodes;
        nodes[driver.app.here.windows.nodes.cursor].name.clone()
    };
    assert_eq!(on(&mut driver, 0x40), "mm");
    // Inside a member that is not expanded.
    assert_eq!(on(&mut driver, 0xb08), "comm");
}

#[test]
fn the_story_goes_on_from_the_task_of_a_line() {
    let mut driver = on_why("/143<enter>b", "(read) by mm-holder[142]");
    driver.press(Key::script("b").unwrap()[0]);
    assert_eq!(
        (driver.app.here.screen, driver.app.here.task),
        (Screen::Why, Some(fixture::address(142)))
    );
    assert!(text(&driver.app).contains("holds up 6 and waits for no lock"));
    // From a lock's line in the graph it is about the task that the line hangs on.
    let driver = after("L<home>}jb", 120, 40);
    assert_eq!(driver.app.here.task, Some(fixture::address(111)));
    assert!(text(&driver.app).contains("a deadlock of 2"));
    assert!(text(&after("L<end>b", 120, 40).app).contains("this line is about no task"));
}

#[test]
fn what_was_searched_is_marked_in_code() {
    let driver = after("gschedule<enter>/__sched<enter>k", 120, 40);
    let (_, styles) = legend(&buffer(&driver.app), driver.app.theme);
    assert!(styles.contains("MMMMMMM"), "{styles}");
}

#[test]
fn the_lock_screen_lists_what_holds_up_most_and_leads_through_it() {
    let driver = after("L<home>", 80, 24);
    let (text, styles) = legend(&buffer(&driver.app), driver.app.theme);
    insta::assert_snapshot!("locks_80x24", text);
    insta::assert_snapshot!("locks_80x24_styles", styles);
    let mut driver = after("L<home>", 200, 50);
    let (text, styles) = legend(&buffer(&driver.app), driver.app.theme);
    insta::assert_snapshot!("locks_200x50", text);
    insta::assert_snapshot!("locks_200x50_styles", styles);
    let press = |driver: &mut Driver, keys: &str| {
        for key in Key::script(keys).unwrap() {
            driver.press(key);
        }
        driver.app.component()
    };
    assert_eq!(press(&mut driver, "}"), Some(1));
    let row = driver.app.here.windows.locks.cursor;
    assert!(matches!(driver.app.lock_rows[row].node, super::locktree::LockNode::Cycle(0)));
    assert_eq!(press(&mut driver, "2}"), Some(3));
    assert_eq!(press(&mut driver, "}"), Some(3), "there are no more");
    assert_eq!(press(&mut driver, "9{"), Some(0));
}

#[test]
fn a_number_before_a_key_moves_so_far() {
    assert_eq!(after("<home>5j", 120, 40).app.here.windows.tasks.cursor, 5);
    assert_eq!(after("<home>12G", 120, 40).app.here.windows.tasks.cursor, 11);
    assert_eq!(after("G10k", 120, 40).app.here.windows.tasks.cursor, 4);
    assert_eq!(after("<home>999999999999j", 120, 40).app.here.windows.tasks.cursor, 14);
    let driver = after("<home>12", 120, 40);
    assert_eq!((driver.app.count, driver.app.here.windows.tasks.cursor), (Some(12), 0));
    assert!(text(&driver.app).contains("12…"));
    assert_eq!(after("<home>12<esc>j", 120, 40).app.here.windows.tasks.cursor, 1);
    // A key that does not move does what it does without a number.
    assert_eq!(after("3L", 120, 40).app.here.screen, Screen::Locks);
}

#[test]
fn a_long_command_tells_how_far_it_is_and_escape_stops_it() {
    let mut driver = after(":bt forever", 120, 40);
    driver.apply(Event::Input(Input::Key(Key::script("<enter>").unwrap()[0])));
    for _ in 0..20_000 {
        driver.apply(Event::Tick);
        if text(&driver.app).contains("stacks 1,200 of 4,059") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(text(&driver.app).contains("stacks 1,200 of 4,059"), "{}", text(&driver.app));
    let begun = std::time::Instant::now();
    assert!(driver.press(Key::script("<esc>").unwrap()[0]));
    assert!(begun.elapsed() < std::time::Duration::from_secs(15), "it was not stopped");
    assert!(text(&driver.app).contains("cancelled"));
}

#[test]
fn the_log_opens_at_its_end_and_can_be_searched() {
    let driver = after("D", 120, 40);
    assert_eq!(driver.app.here.windows.log.cursor, 3);
    let driver = after("D/abba<enter>", 120, 40);
    assert_eq!(driver.app.here.windows.log.cursor, 1);
    let driver = after("D/nothing<enter>", 120, 40);
    assert!(text(&driver.app).contains("not found: nothing"));
}

#[test]
fn the_lock_graph_and_the_reasons_can_be_searched() {
    let found = |keys: &str| {
        let driver = after(keys, 120, 40);
        let row = &driver.app.lock_rows[driver.app.here.windows.locks.cursor];
        let line = super::screen::locks::line(&driver.app, driver.app.locks.ready().unwrap(), row);
        line.text().trim().to_owned()
    };
    assert_eq!(found("L/chain<enter>"), "└─ ● chain-7[124] UN 1st in line 31s");
    assert_eq!(found("L/chain<enter>n"), "◆ holds hu_chain+224 (excl)");
    assert_eq!(found("L/chain<enter>nN"), "└─ ● chain-7[124] UN 1st in line 31s");
    assert_eq!(found("L/chain<enter>nnn"), "└─ ● chain-7[124] UN 1st in line 31s", "round it goes");
    assert_eq!(found("<s-tab>/kworker<enter>"), "└─ ● kworker/0:1[9] ID excl, 1st in line 31s");
    // The evidence is that of the line that was found.
    let shown = text_of(&after("L/bystander<enter>", 120, 40));
    assert!(shown.contains("struct mutex hu_abba_a at"), "{shown}");
    let shown = text_of(&after("L/somebody<enter>", 120, 40));
    assert!(shown.contains("not found in what is unfolded: somebody"), "{shown}");
    let why = after("b/abba-2<enter>", 120, 40);
    let line = why.app.why.rows[why.app.here.windows.why.cursor].line.text();
    assert!(why.app.here.windows.why.cursor > 0 && line.contains("abba-2"), "{line}");
}

#[test]
fn memory_shows_words_and_what_is_missing() {
    let driver = after("g0x1000<enter>", 120, 40);
    let shown = text(&driver.app);
    assert!(shown.contains("0000000000001000:  706f6373676e6168 2e2eff80"), "{shown}");
    assert!(shown.contains("? page excluded"));
}

#[test]
fn inlined_functions_and_lines_stand_with_their_frames() {
    insta::assert_snapshot!("backtrace_80x24", text(&after("<tab>j", 80, 24).app));
    insta::assert_snapshot!("backtrace_200x50", text(&after("<tab>j", 200, 50).app));
    // Enter on an inlined function opens the frame that it is part of.
    let driver = after("<tab>jjj<enter>", 120, 40);
    let subject = Subject::Frame { task: fixture::address(111), n: 2 };
    assert_eq!(driver.app.here.subject, Some(subject));
}

#[test]
fn code_shows_its_jumps_and_the_frame_that_is_in_it() {
    let driver = after("<tab>jjd", 80, 24);
    assert_eq!(driver.app.here.screen, Screen::Code);
    let (text, styles) = legend(&buffer(&driver.app), driver.app.theme);
    insta::assert_snapshot!("code_80x24", text);
    insta::assert_snapshot!("code_80x24_styles", styles);
    let driver = after("gschedule<enter>jjjjjj", 200, 50);
    let (text, styles) = legend(&buffer(&driver.app), driver.app.theme);
    insta::assert_snapshot!("code_200x50", text);
    insta::assert_snapshot!("code_200x50_styles", styles);
}

#[test]
fn jumps_and_calls_are_followed_and_come_back() {
    let mut driver = after("gschedule<enter>/__sched<enter><enter>", 120, 40);
    assert_eq!(driver.app.here.code.0 & 0xfff, 0xa00);
    driver.press(Key::script("o").unwrap()[0]);
    assert_eq!(driver.app.here.code.0 & 0xfff, 0x900);
    assert_eq!(driver.app.here.windows.code.cursor, 11);
    // A jump inside the function puts the cursor on its target.
    let driver = after("gschedule<enter>/jmp<enter><enter>", 120, 40);
    assert_eq!(driver.app.here.windows.code.cursor, 5);
    // Source lines can be hidden, and lead to their file.
    let hidden = after("gschedule<enter>jjjjs", 120, 40);
    assert_eq!(hidden.app.here.windows.code.cursor, 3);
    assert!(!text(&hidden.app).contains("core.c"));
    let mut source = after("gschedule<enter>k<enter>", 120, 40);
    assert_eq!(source.app.here.screen, Screen::Source);
    // And Enter goes back to the instruction.
    source.press(Key::script("<enter>").unwrap()[0]);
    assert_eq!(source.app.here.screen, Screen::Code);
    assert!(text(&after("gschedule<enter>x", 120, 40).app).contains("+28"));
}

#[test]
fn code_that_is_not_there_says_why() {
    let shown = text(&after("g0x1000<enter>d", 120, 40).app);
    assert!(shown.contains("this is not in the kernel"), "{shown}");
}

#[test]
fn the_palette_runs_commands_and_actions() {
    let driver = after(":sys<enter>", 120, 40);
    assert!(text(&driver.app).contains("KERNEL: 6.1.0"));
    let driver = after(":sys<enter>j<enter>", 120, 40);
    assert_eq!(
        (driver.app.here.screen, driver.app.here.task),
        (Screen::Overview, Some(fixture::address(111)))
    );
    assert_eq!(after(":kernel log<enter>", 120, 40).app.here.screen, Screen::Log);
    let driver = after(":bt 1<enter>", 120, 40);
    assert!(text(&driver.app).contains("bt 1: no such command"));
}

#[test]
fn a_prefix_shows_what_may_follow() {
    let shown = text(&after("s", 80, 24).app);
    assert!(shown.contains("u  show or hide blocked tasks"), "{shown}");
}

#[test]
fn help_filters_by_what_is_typed_and_closes() {
    let driver = after("?hexa", 120, 40);
    assert!(text(&driver.app).contains("Keys: hexa"));
    assert!(after("?<esc>", 120, 40).app.overlay.is_none());
}

#[test]
fn quitting_ends_the_loop() {
    let mut driver = after("", 80, 24);
    let effects = driver.apply(Event::Input(Input::Key(Key::script("q").unwrap()[0])));
    assert!(effects.contains(&Effect::Quit));
}

#[test]
fn a_click_selects_the_row_under_it() {
    let mut driver = after("", 120, 40);
    let tasks = driver.app.frames().pane(Pane::Tasks).unwrap();
    driver.apply(Event::Input(Input::Click(tasks.x + 3, tasks.y + 2 + 4)));
    assert_eq!(driver.app.here.windows.tasks.cursor, 4);
    driver.apply(Event::Input(Input::Wheel(tasks.x + 3, tasks.y + 4, 3)));
    assert_eq!(driver.app.here.windows.tasks.cursor, 7);
}

#[test]
fn random_keys_never_panic() {
    // A small generator of our own: the same keys each run.
    let all = Key::script("jkGhlurisa<lt>>RH/x go+-LDmds12345xnNvtwbBbB:?n<enter><esc><tab><s-tab><space><pgdn><pgup><home><end><backspace><up><down>").unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut driver = driver(100, 30, Theme::new(true, false));
    for _ in 0..3000 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = all[usize::try_from(state >> 33).unwrap() % all.len()];
        driver.press(key);
        buffer(&driver.app);
    }
}

#[test]
fn the_footer_says_what_the_address_under_the_cursor_is_and_w_says_all() {
    let footer = |app: &App| text(app).lines().last().unwrap_or_default().to_owned();
    // On mm, a pointer.
    let driver = after("<tab><tab>j", 120, 40);
    let said = footer(&driver.app);
    assert!(said.contains("an allocated object of mm_struct"), "{said}");
    let driver = after("<tab><tab>jw", 120, 40);
    assert_eq!(driver.app.here.screen, Screen::Output);
    assert_eq!(driver.app.here.command, "kmem 0xffff88ca41061680");
    let driver = after("<tab><tab>jwo", 120, 40);
    assert!(footer(&driver.app).contains("an allocated object of mm_struct"));
}
