/** First in, first out, whatever the length. */
export class Queue<T> {
  #values: T[] = [];
  #head = 0;

  get length(): number {
    return this.#values.length - this.#head;
  }

  push(value: T): void {
    this.#values.push(value);
  }

  peek(): T | undefined {
    return this.#values[this.#head];
  }

  /** Takes this one out, if it is there. */
  remove(value: T): void {
    const index = this.#values.indexOf(value, this.#head);
    if (index >= 0) this.#values.splice(index, 1);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const value = this.#values[this.#head++];
    // An array's own `shift` moves all the rest each time; this does so seldom.
    if (this.#head * 2 > this.#values.length) {
      this.#values.splice(0, this.#head);
      this.#head = 0;
    }
    return value;
  }
}
