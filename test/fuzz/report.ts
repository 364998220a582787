/** What a kind of fuzzing found. */
export interface Report {
  readonly kind: string;
  /** What was put in, counted: `fragments`, `runs of the binary`, ... */
  readonly counts: Readonly<Record<string, number>>;
  /** Each names its case. */
  readonly findings: readonly string[];
}

/** What all kinds are given. */
export interface FuzzOptions {
  readonly seed: number;
  /** How many cases; what one is, each kind says. */
  readonly count: number;
  /** No further case is begun after this time (`performance.now()`): what came until then is reported. */
  readonly until?: number;
}

/** Whether there is time for another case. */
export const hasTime = ({ until }: Pick<FuzzOptions, 'until'>): boolean =>
  until === undefined || performance.now() < until;

/** Collects counts and findings; of findings only so many, as one defect shows in thousands of cases. */
export class Findings {
  readonly #kind: string;
  readonly #counts = new Map<string, number>();
  readonly #findings: string[] = [];
  #more = 0;

  constructor(kind: string) {
    this.#kind = kind;
  }

  count(what: string, by = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + by);
  }

  /** @param where the case, so that it can be found again */
  add(where: string, what: string): void {
    if (this.#findings.length < 40) this.#findings.push(`${where}: ${what.slice(0, 2000)}`);
    else this.#more++;
  }

  report(): Report {
    const more = this.#more > 0 ? [`and ${this.#more} more`] : [];
    return {
      kind: this.#kind,
      counts: Object.fromEntries(this.#counts),
      findings: [...this.#findings, ...more],
    };
  }
}
