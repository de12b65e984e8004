/// Something that `/metrics` tells the value of whenever it is asked, in Prometheus' terms.
public struct Gauge: Sendable {
    /// Such as `retort_cache_used_bytes`.
    public var name: String
    /// What it is, in a sentence.
    public var help: String
    /// What tells it from others of the same name, such as the model.
    public var labels: [(name: String, value: String)]
    /// Its value now.
    public var value: Double

    /// - Parameters:
    ///   - name: as Prometheus has it.
    ///   - help: what it measures, for people.
    public init(_ name: String, _ help: String, labels: [(name: String, value: String)] = [], _ value: Double) {
        self.name = name
        self.help = help
        self.labels = labels
        self.value = value
    }
}
