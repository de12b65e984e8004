@preconcurrency import Dispatch

/// Calls back after a time, unless it is cancelled first.
///
/// `Task.sleep` keeps its timer until it would have fired, however early it is cancelled; limits of many minutes on many
/// short requests add up. A cancelled alarm is gone. Its queue is its own, so that alarms go off however busy the tasks
/// are.
public final class Alarm: Sendable {
    private let source: any DispatchSourceTimer
    private static let queue = DispatchQueue(label: "retort.alarms")

    /// - Parameters:
    ///   - seconds: until the first call.
    ///   - action: must be short. Gives the seconds until it is called again; nil when it is not.
    public init(first seconds: Double, again action: @escaping @Sendable () -> Double?) {
        let source = DispatchSource.makeTimerSource(queue: Self.queue)
        self.source = source
        source.schedule(deadline: .now() + max(seconds, 0))
        // A cancelled source lets go of its handler, and so of itself.
        source.setEventHandler {
            if let next = action() { source.schedule(deadline: .now() + max(next, 0)) } else { source.cancel() }
        }
        source.resume()
    }

    /// Calls back once.
    /// - Parameter action: must be short.
    public convenience init(seconds: Double, _ action: @escaping @Sendable () -> Void) {
        self.init(
            first: seconds,
            again: {
                action()
                return nil
            })
    }

    deinit { source.cancel() }

    /// Takes the call back. One that is under way ends as it would.
    public func cancel() { source.cancel() }
}
