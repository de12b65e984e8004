import CoreMetrics
import RetortCore
import Synchronization

/// A metric with its dimensions, as it has grown since the beginning or the last report.
protocol MetricSeries: Sendable {
    /// The data points for a report; none where nothing was recorded.
    /// - Parameter isDelta: whether what is reported is forgotten.
    func take(isDelta: Bool) -> [String: JSONValue]?
}

/// The kinds of metrics, as OTLP has them.
enum MetricKind: String, Hashable, Sendable {
    /// A sum of what counters add.
    case sum
    /// The last value of recorders and meters.
    case gauge
    /// A distribution of recorders that aggregate.
    case histogram
    /// A distribution of timers, in seconds.
    case seconds
}

/// A counter, of whole numbers or not.
final class SumSeries: MetricSeries, CounterHandler, FloatingPointCounterHandler {
    private struct State {
        var sum = 0.0
        var isWhole = true
        var isNew = true
    }

    private let state = Mutex(State())

    func increment(by amount: Int64) { add(Double(amount), isWhole: true) }

    func increment(by amount: Double) {
        // A sum that a single call could make infinite would stay so.
        if amount.isFinite { add(amount, isWhole: false) }
    }

    private func add(_ amount: Double, isWhole: Bool) {
        state.withLock { state in
            state.sum += amount
            state.isWhole = state.isWhole && isWhole
            state.isNew = false
        }
    }

    func reset() { state.withLock { $0.sum = 0 } }

    func take(isDelta: Bool) -> [String: JSONValue]? {
        state.withLock { state in
            guard !state.isNew else { return nil }
            defer { if isDelta { state = State() } }
            // Doubles hold whole numbers up to 2⁵³ exactly.
            if state.isWhole, let whole = Int64(exactly: state.sum) { return ["asInt": .string("\(whole)")] }
            return ["asDouble": .number(state.sum)]
        }
    }
}

/// The last value of a recorder or a meter.
final class LastValueSeries: MetricSeries, RecorderHandler, MeterHandler {
    private let value = Mutex<Double?>(nil)

    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }
    func set(_ value: Int64) { set(Double(value)) }

    func set(_ value: Double) {
        // JSON cannot represent infinite numbers or NaN.
        if value.isFinite { self.value.withLock { $0 = value } }
    }

    func increment(by amount: Double) { value.withLock { $0 = ($0 ?? 0) + amount } }
    func decrement(by amount: Double) { increment(by: -amount) }

    func take(isDelta: Bool) -> [String: JSONValue]? {
        value.withLock { $0.flatMap { $0.isFinite ? ["asDouble": .number($0)] : nil } }
    }
}

/// A distribution, counted in buckets.
final class HistogramSeries: MetricSeries, RecorderHandler, TimerHandler {
    private struct State {
        var counts: [Int]
        var sum = 0.0
        var least = Double.infinity
        var most = -Double.infinity
    }

    /// The upper bounds of the buckets, ascending; a last bucket holds what is above.
    private let bounds: [Double]
    private let state: Mutex<State>

    /// The specification's own bounds for a distribution of anything.
    static let usual: [Double] = [
        0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000,
    ]
    /// Bounds for times from milliseconds to minutes, in seconds.
    static let times = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard value.isFinite else { return }
        let place = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[place] += 1
            state.sum += value
            state.least = min(state.least, value)
            state.most = max(state.most, value)
        }
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    func take(isDelta: Bool) -> [String: JSONValue]? {
        state.withLock { state in
            let count = state.counts.reduce(0, +)
            guard count > 0 else { return nil }
            defer { if isDelta { state = State(counts: Array(repeating: 0, count: bounds.count + 1)) } }
            return [
                "count": .string("\(count)"), "sum": .number(state.sum), "min": .number(state.least),
                "max": .number(state.most), "bucketCounts": .array(state.counts.map { .string("\($0)") }),
                "explicitBounds": .array(bounds.map { .number($0) }),
            ]
        }
    }
}
