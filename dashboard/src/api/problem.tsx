/** Refusals of the API: a code, the cause and the remedy. */

import { Icon, Sentence } from "../parts/basics";

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }
}

interface Details {
  title?: string;
  cause?: string;
  code?: string;
  remedy?: string;
  errors?: { field: string; message: string }[];
}

/** Return the problem of an answer that is not one of success. */
export function problemOf(status: number, body: unknown): Problem {
  const details = (typeof body === "object" && body !== null ? body : {}) as Details;
  const fields = (details.errors ?? []).map((each) => `${each.field}: ${each.message}`).join("; ");
  const cause = sentence(details.cause ?? details.title ?? `the server answered ${status}`);
  const text = fields ? `${cause} ${sentence(fields)}` : cause;
  return new Problem(status, details.code ?? `http_${status}`, text, sentence(details.remedy ?? ""));
}

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return begun && !/[.!?]$/.test(begun) ? `${begun}.` : begun;
}

export function Failure({ problem, onRetry }: { problem: Error; onRetry?: () => void }) {
  const known = problem instanceof Problem ? problem : new Problem(0, "unreachable", problem.message, "Is the API running?");
  return (
    <div className="failure" role="alert">
      <div className="why red">
        <Icon name="s-failed" />
        <p>
          <span className="why__word mono">{known.code}</span> <Sentence text={`${known.message} ${known.remedy}`} />
        </p>
      </div>
      {onRetry && (
        <button type="button" className="btn btn--small" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}
