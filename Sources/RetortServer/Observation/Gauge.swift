/// A figure that `/metrics` reports, measured whenever it is asked for, in Prometheus' terms.
public struct Gauge: Sendable {
    /// The metric's name, such as `retort_cache_used_bytes`.
    public var name: String
    /// The `HELP` text: what the figure is, in a sentence.
    public var help: String
    /// Labels that tell it from other gauges of the same name, such as the model.
    public var labels: [(name: String, value: String)]
    /// The value now, in the unit that the name says.
    public var value: Double

    /// A gauge with a value; without labels it is the only one of its name.
    public init(_ name: String, _ help: String, labels: [(name: String, value: String)] = [], _ value: Double) {
        self.name = name
        self.help = help
        self.labels = labels
        self.value = value
    }
}
