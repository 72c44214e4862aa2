/* The icons, drawn once; every other place refers to them. Outlined can still change, filled is settled. */

export function Sprite() {
  return (
    <svg width="0" height="0" className="sprite" aria-hidden="true">
      <defs>
        <symbol id="alert" viewBox="0 0 16 16"><path d="M8 2 14.5 13.5h-13z"/><path d="M8 6.25v3.25m0 2v.1"/></symbol>
        <symbol id="bookmark" viewBox="0 0 16 16"><path d="M4 2.5h8v11l-4-3-4 3z"/></symbol>
        <symbol id="check" viewBox="0 0 16 16"><path d="m3.5 8.5 3 3 6-7"/></symbol>
        <symbol id="columns" viewBox="0 0 16 16"><path d="M2.5 3h11v10h-11zM6.25 3v10M9.75 3v10"/></symbol>
        <symbol id="copy" viewBox="0 0 16 16"><path d="M5.5 5.5h8v8h-8z"/><path d="M10.5 5.5v-3h-8v8h3"/></symbol>
        <symbol id="down" viewBox="0 0 16 16"><path d="m4.5 6.25 3.5 3.5 3.5-3.5"/></symbol>
        <symbol id="download" viewBox="0 0 16 16"><path d="M8 2.5v7.25M5 7l3 3 3-3M2.75 13.25h10.5"/></symbol>
        <symbol id="fit" viewBox="0 0 16 16"><path d="M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10"/></symbol>
        <symbol id="fork" viewBox="0 0 16 16"><path d="M4 2.5v11M4 10.5c0-3 8-2 8-5.5"/><path d="m9.75 6.75L12 4.5l2.25 2.25"/><circle cx="4" cy="13" r=".5"/></symbol>
        <symbol id="gates" viewBox="0 0 16 16"><path d="M2.5 2.5v11M13.5 2.5v11M2.5 8h4M13.5 8h-4M5 5.75 7.25 8 5 10.25M11 5.75 8.75 8 11 10.25"/></symbol>
        <symbol id="inbox" viewBox="0 0 16 16"><path d="M2 9.5 4 3h8l2 6.5V13H2z"/><path d="M2 9.5h3.5l1 1.75h3l1-1.75H14"/></symbol>
        <symbol id="k-ask" viewBox="0 0 16 16"><circle cx="8" cy="5" r="2.5"/><path d="M3 13.5c.4-2.6 2.4-4 5-4s4.6 1.4 5 4"/></symbol>
        <symbol id="k-branch" viewBox="0 0 16 16"><path d="M4 13.5v-11M4 8.5c0-2.5 2-2.5 4.25-2.5C10.5 6 12 5.5 12 3"/><path d="m9.75 4.75L12 2.5l2.25 2.25M1.75 4.75 4 2.5l2.25 2.25"/></symbol>
        <symbol id="k-child" viewBox="0 0 16 16"><path d="M3 2.5v5A2.5 2.5 0 0 0 5.5 10H12"/><path d="m9.25 7.25 2.75 2.75-2.75 2.75"/></symbol>
        <symbol id="k-choice" viewBox="0 0 16 16"><circle cx="4.5" cy="4.5" r="2"/><circle cx="4.5" cy="11.5" r="2"/><path d="M9 4.5h4.5M9 11.5h4.5"/></symbol>
        <symbol id="k-each" viewBox="0 0 16 16"><path d="M2.5 5.5h8v8h-8z"/><path d="M5.5 2.5h8v8"/></symbol>
        <symbol id="k-event" viewBox="0 0 16 16"><path d="M9 1.75 3.5 9H8l-1 5.25L12.5 7H8z"/></symbol>
        <symbol id="k-form" viewBox="0 0 16 16"><path d="M2.5 3.5h11v3h-11zM2.5 9.5h11v3h-11z"/></symbol>
        <symbol id="k-par" viewBox="0 0 16 16"><path d="M5 2.5v11M8 2.5v11M11 2.5v11"/></symbol>
        <symbol id="k-sleep" viewBox="0 0 16 16"><circle cx="8" cy="8" r="5.75"/><path d="M8 4.75V8l2.25 1.5"/></symbol>
        <symbol id="k-step" viewBox="0 0 16 16"><path d="M3 3.5h10v9H3z"/><path d="M6 6.5h4M6 9.5h2.5"/></symbol>
        <symbol id="k-text" viewBox="0 0 16 16"><path d="M3 4h10M3 8h10M3 12h6"/></symbol>
        <symbol id="keyb" viewBox="0 0 16 16"><path d="M1.75 4h12.5v8H1.75z"/><path d="M4 6.5h.01M6.5 6.5h.01M9 6.5h.01M11.5 6.5h.01M5 9.5h6"/></symbol>
        <symbol id="left" viewBox="0 0 16 16"><path d="M9.75 4.5 6.25 8l3.5 3.5"/></symbol>
        <symbol id="link" viewBox="0 0 16 16"><path d="M6.75 9.25 9.25 6.75M7.5 4.75 9 3.25a2.65 2.65 0 0 1 3.75 3.75l-1.5 1.5M8.5 11.25 7 12.75A2.65 2.65 0 0 1 3.25 9l1.5-1.5"/></symbol>
        <symbol id="menu" viewBox="0 0 16 16"><path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/></symbol>
        <symbol id="minus" viewBox="0 0 16 16"><path d="M3 8h10"/></symbol>
        <symbol id="more" viewBox="0 0 16 16"><path d="M3.5 8h.01M8 8h.01M12.5 8h.01" strokeWidth="2.25"/></symbol>
        <symbol id="out" viewBox="0 0 16 16"><path d="M5.5 10.5 11.5 4.5M6.5 4.25h5.25V9.5"/></symbol>
        <symbol id="overview" viewBox="0 0 16 16"><path d="M2.5 2.5h4.5v6H2.5zM9 2.5h4.5v3H9zM9 7.5h4.5v6H9zM2.5 10.5H7v3H2.5z"/></symbol>
        <symbol id="pause" viewBox="0 0 16 16"><path d="M5.25 3.5v9M10.75 3.5v9" strokeWidth="2"/></symbol>
        <symbol id="play" viewBox="0 0 16 16"><path d="M5 3.25v9.5L12.5 8z"/></symbol>
        <symbol id="plus" viewBox="0 0 16 16"><path d="M8 3v10M3 8h10"/></symbol>
        <symbol id="retry" viewBox="0 0 16 16"><path d="M13.5 8a5.5 5.5 0 1 1-1.75-4.03"/><path d="M12.25 1.5v2.75H9.5"/></symbol>
        <symbol id="right" viewBox="0 0 16 16"><path d="m6.25 4.5 3.5 3.5-3.5 3.5"/></symbol>
        <symbol id="runs" viewBox="0 0 16 16"><path d="M2.5 3.5h5M5 8h6M8.5 12.5h5" strokeWidth="2.25"/></symbol>
        <symbol id="s-blocked" viewBox="0 0 16 16"><circle cx="8" cy="8" r="5.75"/><path d="M5.25 8h5.5" strokeWidth="2.25" strokeLinecap="butt"/></symbol>
        <symbol id="s-cancelled" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.5" fill="currentColor" stroke="none"/><path d="m5.5 10.5 5-5" stroke="var(--cut)" strokeWidth="1.75"/></symbol>
        <symbol id="s-cancelling" viewBox="0 0 16 16"><circle cx="8" cy="8" r="5.75" strokeDasharray="2.1 2.4"/><path d="m5 11 6-6"/></symbol>
        <symbol id="s-compensated" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.5" fill="currentColor" stroke="none"/><path d="M6.6 4.6 4.7 6.5l1.9 1.9M4.7 6.5h4.1a2.1 2.1 0 0 1 0 4.2H6.9" stroke="var(--cut)" strokeWidth="1.4"/></symbol>
        <symbol id="s-compensating" viewBox="0 0 16 16"><path d="M6 2.75 2.75 6 6 9.25"/><path d="M2.75 6h6.5a3.87 3.87 0 0 1 0 7.75H6.5"/></symbol>
        <symbol id="s-compfailed" viewBox="0 0 16 16"><path d="M8 1.25 15.25 14H.75z" fill="currentColor" stroke="currentColor" strokeWidth="1"/><path d="M8 5.75v3.5m0 2.4v.1" stroke="var(--cut)" strokeWidth="1.75"/></symbol>
        <symbol id="s-completed" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.5" fill="currentColor" stroke="none"/><path d="m5 8.2 2.1 2.1L11 6" stroke="var(--cut)" strokeWidth="1.75"/></symbol>
        <symbol id="s-failed" viewBox="0 0 16 16"><path d="M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8H5.3l-3.8-3.8V5.3z" fill="currentColor" stroke="none"/><path d="m5.75 5.75 4.5 4.5m0-4.5-4.5 4.5" stroke="var(--cut)" strokeWidth="1.75"/></symbol>
        <symbol id="s-paused" viewBox="0 0 16 16"><circle cx="8" cy="8" r="5.75"/><path d="M6.5 5.75v4.5M9.5 5.75v4.5" strokeWidth="1.75"/></symbol>
        <symbol id="s-pending" viewBox="0 0 16 16"><circle cx="8" cy="8" r="5.75" strokeDasharray="2.1 2.4"/></symbol>
        <symbol id="s-ready" viewBox="0 0 16 16"><circle cx="8" cy="8" r="5.75"/><path d="M6.8 5.7v4.6L10.5 8z" fill="currentColor" stroke="none"/></symbol>
        <symbol id="s-retrying" viewBox="0 0 16 16"><path d="M13.5 8a5.5 5.5 0 1 1-1.75-4.03"/><path d="M12.25 1.5v2.75H9.5"/></symbol>
        <symbol id="s-running" viewBox="0 0 16 16"><circle cx="8" cy="8" r="5.75" opacity=".32"/><path d="M8 2.25A5.75 5.75 0 0 1 13.75 8" strokeWidth="2"/><circle cx="8" cy="8" r="1.75" fill="currentColor" stroke="none"/></symbol>
        <symbol id="s-skipped" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.5" fill="currentColor" stroke="none"/><path d="m4.9 5.6 2.4 2.4-2.4 2.4M8.4 5.6l2.4 2.4-2.4 2.4" stroke="var(--cut)"/></symbol>
        <symbol id="s-waiting" viewBox="0 0 16 16"><path d="M4 2.25h8M4 13.75h8M5 2.5v1.9C5 6.4 8 6.8 8 8c0-1.2 3-1.6 3-3.6V2.5M5 13.5v-1.9C5 9.6 8 9.2 8 8c0 1.2 3 1.6 3 3.6v1.9"/></symbol>
        <symbol id="schedules" viewBox="0 0 16 16"><path d="M2.5 3.5h11v10h-11zM2.5 6.5h11M5.5 1.75v2.5M10.5 1.75v2.5"/></symbol>
        <symbol id="search" viewBox="0 0 16 16"><circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3.25 3.25"/></symbol>
        <symbol id="send" viewBox="0 0 16 16"><path d="M2.5 8 13.5 3 10 13.5 7.5 9z"/><path d="M7.5 9 13.5 3"/></symbol>
        <symbol id="settings" viewBox="0 0 16 16"><path d="M2 4.5h6M12 4.5h2M2 11.5h2M8 11.5h6"/><circle cx="10" cy="4.5" r="1.75"/><circle cx="6" cy="11.5" r="1.75"/></symbol>
        <symbol id="skip" viewBox="0 0 16 16"><path d="M3.5 3.5 9 8l-5.5 4.5zM12 3.5v9"/></symbol>
        <symbol id="stream" viewBox="0 0 16 16"><path d="M2 4h2.5M6.5 4H9M11 4h3M2 8h1M5 8h4M11 8h3M2 12h4M8 12h3M13 12h1" strokeWidth="2"/></symbol>
        <symbol id="theme" viewBox="0 0 16 16"><circle cx="8" cy="8" r="5.75"/><path d="M8 2.25v11.5A5.75 5.75 0 0 0 8 2.25z" fill="currentColor" stroke="none"/></symbol>
        <symbol id="undo" viewBox="0 0 16 16"><path d="M6 2.75 2.75 6 6 9.25"/><path d="M2.75 6h6.5a3.87 3.87 0 0 1 0 7.75H6.5"/></symbol>
        <symbol id="up" viewBox="0 0 16 16"><path d="m4.5 9.75 3.5-3.5 3.5 3.5"/></symbol>
        <symbol id="updown" viewBox="0 0 16 16"><path d="m5.25 6 2.75-2.75L10.75 6M5.25 10 8 12.75 10.75 10"/></symbol>
        <symbol id="workers" viewBox="0 0 16 16"><path d="M4.5 4.5h7v7h-7z"/><path d="M6.5 1.75V4.5M9.5 1.75V4.5M6.5 11.5v2.75M9.5 11.5v2.75M1.75 6.5H4.5M1.75 9.5H4.5M11.5 6.5h2.75M11.5 9.5h2.75"/></symbol>
        <symbol id="workflows" viewBox="0 0 16 16"><path d="M2 6.25h3.5v3.5H2zM10.5 2.25H14v3.5h-3.5zM10.5 10.25H14v3.5h-3.5z"/><path d="M5.5 8h2.25M10.5 4h-1a1.75 1.75 0 0 0-1.75 1.75v4.5A1.75 1.75 0 0 0 9.5 12h1"/></symbol>
        <symbol id="wrench" viewBox="0 0 16 16"><path d="M13 4.5 10.75 6.75 9.25 5.25 11.5 3a3.5 3.5 0 0 0-4.4 4.4L2.5 12 4 13.5l4.6-4.6A3.5 3.5 0 0 0 13 4.5z"/></symbol>
        <symbol id="x" viewBox="0 0 16 16"><path d="m4.25 4.25 7.5 7.5m0-7.5-7.5 7.5"/></symbol>
        <pattern id="stripe-violet" className="violet" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path className="bar--stripe" d="M0 0v6"/></pattern>
        <pattern id="stripe-amber" className="amber" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path className="bar--stripe" d="M0 0v6"/></pattern>
        <pattern id="stripe-grey" className="grey" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path className="bar--stripe" d="M0 0v6"/></pattern>
        <pattern id="stripe-blue" className="blue" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path className="bar--stripe" d="M0 0v6"/></pattern>
        <pattern id="stripe-teal" className="teal" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path className="bar--stripe" d="M0 0v6"/></pattern>
      </defs>
    </svg>
  );
}

export type IconName =
  | "alert"
  | "bookmark"
  | "check"
  | "columns"
  | "copy"
  | "down"
  | "download"
  | "fit"
  | "fork"
  | "gates"
  | "inbox"
  | "k-ask"
  | "k-branch"
  | "k-child"
  | "k-choice"
  | "k-each"
  | "k-event"
  | "k-form"
  | "k-par"
  | "k-sleep"
  | "k-step"
  | "k-text"
  | "keyb"
  | "left"
  | "link"
  | "menu"
  | "minus"
  | "more"
  | "out"
  | "overview"
  | "pause"
  | "play"
  | "plus"
  | "retry"
  | "right"
  | "runs"
  | "s-blocked"
  | "s-cancelled"
  | "s-cancelling"
  | "s-compensated"
  | "s-compensating"
  | "s-compfailed"
  | "s-completed"
  | "s-failed"
  | "s-paused"
  | "s-pending"
  | "s-ready"
  | "s-retrying"
  | "s-running"
  | "s-skipped"
  | "s-waiting"
  | "schedules"
  | "search"
  | "send"
  | "settings"
  | "skip"
  | "stream"
  | "theme"
  | "undo"
  | "up"
  | "updown"
  | "workers"
  | "workflows"
  | "wrench"
  | "x";
