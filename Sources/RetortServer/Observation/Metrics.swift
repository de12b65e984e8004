import CoreMetrics
import Synchronization

/// Counters and histograms in Prometheus' text format 0.0.4. There was no maintained Swift library for this, so the
/// few kinds that are needed are written here. What is counted also goes to the backend of swift-metrics, if there is one.
final class Metrics: Sendable {
    /// A distribution of times in seconds, counted by upper bounds.
    private struct Histogram {
        static let bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
        var counts = [Int](repeating: 0, count: bounds.count)
        var count = 0
        var sum = 0.0

        mutating func add(_ seconds: Double) {
            for (index, bound) in Self.bounds.enumerated() where seconds <= bound { counts[index] += 1 }
            count += 1
            sum += seconds
        }
    }

    private struct State {
        var counters: [String: [String: Int]] = [:]
        var histograms: [String: [String: Histogram]] = [:]
    }

    private static let help = [
        "retort_requests_total": "Requests answered, by route and status.",
        "retort_queries_total": "Queries answered.",
        "retort_tokens_total": "Tokens read and written, by model and kind.",
        "retort_request_seconds": "From a request's arrival to the end of its answer, in seconds.",
        "retort_first_token_seconds": "From a request's arrival to the first piece of its answer, in seconds.",
    ]

    private let state = Mutex(State())

    /// Adds to a counter.
    func count(_ name: String, _ labels: [(String, String)], by amount: Int = 1) {
        let key = Self.text(labels)
        state.withLock { $0.counters[name, default: [:]][key, default: 0] += amount }
        Counter(label: name, dimensions: labels).increment(by: amount)
    }

    /// Adds a time to a histogram.
    func time(_ name: String, _ labels: [(String, String)], _ duration: Duration) {
        let key = Self.text(labels)
        state.withLock {
            $0.histograms[name, default: [:]][key, default: Histogram()].add(duration / .seconds(1))
        }
        Timer(label: name, dimensions: labels).record(duration: duration)
    }

    /// Everything as text.
    /// - Parameter gauges: figures measured now; gauges of one name must follow each other.
    func text(gauges: [Gauge]) -> String {
        let state = state.withLock { $0 }
        var lines: [String] = []
        func head(_ name: String, _ type: String, _ help: String? = nil) {
            lines += ["# HELP \(name) \(help ?? Self.help[name] ?? name)", "# TYPE \(name) \(type)"]
        }
        for (name, series) in state.counters.sorted(by: { $0.key < $1.key }) {
            head(name, "counter")
            for (labels, value) in series.sorted(by: { $0.key < $1.key }) {
                lines.append(labels.isEmpty ? "\(name) \(value)" : "\(name){\(labels)} \(value)")
            }
        }
        for (name, series) in state.histograms.sorted(by: { $0.key < $1.key }) {
            head(name, "histogram")
            for (labels, histogram) in series.sorted(by: { $0.key < $1.key }) {
                for (bound, count) in zip(Histogram.bounds, histogram.counts) {
                    lines.append("\(name)_bucket{\(labels),le=\"\(bound)\"} \(count)")
                }
                lines.append("\(name)_bucket{\(labels),le=\"+Inf\"} \(histogram.count)")
                lines.append("\(name)_sum{\(labels)} \(histogram.sum)")
                lines.append("\(name)_count{\(labels)} \(histogram.count)")
            }
        }
        var last = ""
        for gauge in gauges {
            // Prometheus' own convention: what only grows is called a total.
            let type = gauge.name.hasSuffix("_total") ? "counter" : "gauge"
            if gauge.name != last { head(gauge.name, type, gauge.help) }
            last = gauge.name
            let labels = gauge.labels.isEmpty ? "" : "{\(Self.text(gauge.labels.map { ($0.name, $0.value) }))}"
            lines.append("\(gauge.name)\(labels) \(gauge.value)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func text(_ labels: [(String, String)]) -> String {
        labels.map { name, value in
            let escaped = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
            return "\(name)=\"\(escaped)\""
        }.joined(separator: ",")
    }
}
