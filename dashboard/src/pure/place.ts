/** A place in a list that the server only gives forwards: it knows the one before, so that there is a way back. */

export class Place {
  /** `after` is what the page before returned as following; null: the beginning. */
  constructor(
    readonly after: string | null = null,
    readonly before?: Place,
  ) {}

  /** How many pages are before it. */
  get index(): number {
    let count = 0;
    for (let place = this.before; place; place = place.before) count++;
    return count;
  }
}
