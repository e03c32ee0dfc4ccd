/** Something happened, or something is asked of the driver; `type` says what. Events come in the order in which they happened. */
export type Event = {
  [K in keyof event.Shapes]: { type: Capitalize<K> } & event.Shapes[K]
}[keyof event.Shapes]
