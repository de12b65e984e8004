import Foundation
import RetortCore
import Synchronization

/// Shares requests out over endpoints: by weight, within each one's concurrency, and away from those that fail. Those of one agent stay with
/// the endpoint that has read their beginning, as long as it has no more than a quarter above its share of the work.
///
/// An endpoint that failed several times on end is left alone for a while, twice as long each time (a circuit breaker);
/// then one request tries it. One that asked for a pause gets it. Requests that find no endpoint wait in line.
final class EndpointPool: Sendable {
    /// What requests do while every endpoint is left alone.
    enum Outage: Sendable {
        /// They wait: a long run goes on when an endpoint is back.
        case waits
        /// They try endpoints that are left alone for their failures, one request each, first the one that has rested longest; where all asked
        /// for a pause they are refused at once, with `AllRest`. A client of a server decides itself what it does.
        case refuses
    }

    /// Every endpoint that the request may go to is left alone for now, and none may be tried.
    struct AllRest: Error {
        /// Seconds until the first of them is tried again.
        let seconds: Double
    }

    /// The right to send one request to an endpoint; given back with `release`.
    struct Lease: Sendable {
        let index: Int
        let endpoint: Endpoint
        /// Whether the endpoint is left alone for now, and tried because all others are, too.
        var isTrial = false
    }

    /// What came of a lease.
    enum Outcome: Sendable {
        case success
        /// The endpoint's fault.
        case failure
        /// It cannot be reached at all: it is left alone at once.
        case down
        /// It asked for a pause, in seconds.
        case pause(Double)
        /// Nothing that tells about the endpoint: the request was refused or cancelled.
        case neutral
    }

    /// An endpoint's account.
    struct Statistics: Sendable, Hashable {
        var requests = 0
        var failures = 0
        var openings = 0
    }

    /// An endpoint as it is now.
    struct Standing: Sendable {
        let endpoint: Endpoint
        let statistics: Statistics
        /// Requests under way.
        let inFlight: Int
        /// Whether it gets requests, and the last one that told was answered.
        let isHealthy: Bool
        /// Why it last failed; empty if it never did.
        let lastFailure: String
    }

    fileprivate struct Member {
        let endpoint: Endpoint
        var inFlight = 0
        /// Requests served, divided by the weight: the lowest is next.
        var share = 0.0
        var failuresOnEnd = 0
        var openings = 0
        var closedUntil: ContinuousClock.Instant?
        /// When it last failed, and whether it could not be reached at all; nil while it is not left alone, or asked for it.
        var failed: (at: ContinuousClock.Instant, isDown: Bool)?
        /// Whether a request tries it while it is left alone.
        var isTried = false
        /// Goes off when it is open again.
        var alarm: Alarm?
        var statistics = Statistics()
        var lastFailure = ""
    }

    private struct Waiter {
        let id: UInt64
        let home: PrefixHome?
        let avoided: Set<Int>
        let continuation: CheckedContinuation<Lease, any Error>
    }

    private struct State {
        var members: [Member]
        var waiting: [Waiter] = []
        var nextID: UInt64 = 0
        var lastReason = "all are busy"
        var lastSuccess: ContinuousClock.Instant?
    }

    private let state: Mutex<State>
    private let retries: RemoteOptions.Retries
    private let queue: Int
    private let outage: Outage
    /// The longest that an endpoint is left alone before it is tried again, in seconds.
    private static let longestRest = 60.0

    /// - Parameter outage: what requests do while every endpoint is left alone; those that are refused then wait no longer than `patience`
    ///   in any case.
    init(_ endpoints: [Endpoint], retries: RemoteOptions.Retries, queue: Int, outage: Outage = .waits) {
        state = Mutex(State(members: endpoints.map { Member(endpoint: $0) }))
        self.retries = retries
        self.queue = queue
        self.outage = outage
    }

    var statistics: [Statistics] { state.withLock { $0.members.map(\.statistics) } }

    /// The endpoints as they are now.
    var standings: [Standing] {
        let now = ContinuousClock.now
        return state.withLock { state in
            state.members.map { member in
                Standing(
                    endpoint: member.endpoint, statistics: member.statistics, inFlight: member.inFlight,
                    isHealthy: member.openings == 0 && !member.rests(now), lastFailure: member.lastFailure)
            }
        }
    }

    /// Until the first endpoint that is left alone gets requests again, in seconds.
    var shortestRest: Double { state.withLock { $0.members.map(\.restLeft).min() ?? 0 } }

    /// How many requests wait for an endpoint.
    var waiting: Int { state.withLock { $0.waiting.count } }

    // MARK: Leases

    /// Waits for an endpoint. However long the line is, it is waited in while requests succeed.
    /// - Parameters:
    ///   - start: when the request was first made.
    ///   - home: what it begins with; nil where that does not matter.
    ///   - avoided: endpoints that it may not go to, by index.
    /// - Throws: `RemoteError.unavailable` when for `patience` no request at all has succeeded, `overloaded`, `AllRest`,
    ///   `CancellationError`.
    func lease(
        since start: ContinuousClock.Instant, home: PrefixHome? = nil, avoiding avoided: Set<Int> = []
    ) async throws -> Lease {
        let first: Result<Lease, any Error>? = state.withLock { state in
            if let error = overdue(state, start) { return .failure(error) }
            if let error = hopeless(state, avoided) { return .failure(error) }
            return state.waiting.isEmpty ? take(&state, home, avoided).map { .success($0) } : nil
        }
        if let first { return try first.get() }
        try Task.checkCancellation()
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let alarm = Alarm(first: secondsLeft(start), again: { [weak self] in self?.watch(id, since: start) })
        defer { alarm.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                enqueue(Waiter(id: id, home: home, avoided: avoided, continuation: continuation), since: start)
            }
        } onCancel: {
            dismiss(id, CancellationError())
        }
    }

    /// When a request's patience ends.
    private func deadline(_ state: State, _ start: ContinuousClock.Instant) -> ContinuousClock.Instant {
        let from = outage == .waits ? max(start, state.lastSuccess ?? start) : start
        return from + .seconds(retries.patience)
    }

    /// The refusal of a request that may only go to endpoints that are left alone; nil if there are others, or one of them may be tried.
    private func hopeless(_ state: State, _ avoided: Set<Int>) -> AllRest? {
        guard outage == .refuses else { return nil }
        let now = ContinuousClock.now
        let left = state.members.indices.filter { !avoided.contains($0) }
        guard left.allSatisfy({ state.members[$0].rests(now) && state.members[$0].failed == nil }) else { return nil }
        return AllRest(seconds: left.map { state.members[$0].restLeft }.min() ?? 0)
    }

    private func overdue(_ state: State, _ start: ContinuousClock.Instant) -> RemoteError? {
        guard deadline(state, start) <= .now else { return nil }
        return .unavailable(seconds: retries.patience, reason: state.lastReason)
    }

    private func secondsLeft(_ start: ContinuousClock.Instant) -> Double {
        ContinuousClock.now.duration(to: state.withLock { deadline($0, start) }) / .seconds(1)
    }

    /// Dismisses a waiter whose patience has ended.
    /// - Returns: when to look again, in seconds; nil when it was dismissed.
    private func watch(_ id: UInt64, since start: ContinuousClock.Instant) -> Double? {
        guard let error = state.withLock({ overdue($0, start) }) else { return secondsLeft(start) }
        dismiss(id, error)
        return nil
    }

    private func enqueue(_ waiter: Waiter, since start: ContinuousClock.Instant) {
        enum Answer { case take(Lease), refuse(any Error), wait }
        let answer: Answer = state.withLock { state in
            if Task.isCancelled { return .refuse(CancellationError()) }
            if let error = hopeless(state, waiter.avoided) { return .refuse(error) }
            if state.waiting.isEmpty, let lease = take(&state, waiter.home, waiter.avoided) {
                return .take(lease)
            }
            guard state.waiting.count < queue else {
                return .refuse(RemoteError.overloaded(waiting: state.waiting.count))
            }
            // The watch may have ended before there was anyone to dismiss.
            if let error = overdue(state, start) { return .refuse(error) }
            state.waiting.append(waiter)
            return .wait
        }
        switch answer {
        case .take(let lease): waiter.continuation.resume(returning: lease)
        case .refuse(let error): waiter.continuation.resume(throwing: error)
        case .wait: break
        }
    }

    private func dismiss(_ id: UInt64, _ error: any Error) {
        let waiter = state.withLock { state in
            state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0) }
        }
        waiter?.continuation.resume(throwing: error)
    }

    /// Gives a lease back and tells what came of it.
    func release(_ lease: Lease, _ outcome: Outcome, reason: String = "") {
        state.withLock { state in
            if !reason.isEmpty {
                state.lastReason = reason
                state.members[lease.index].lastFailure = reason
            }
            if case .success = outcome { state.lastSuccess = .now }
            if lease.isTrial { state.members[lease.index].isTried = false }
            let rest = state.members[lease.index].end(outcome, retries: retries, longestRest: Self.longestRest)
            guard let rest else { return }
            state.members[lease.index].alarm = Alarm(
                first: rest, again: { [weak self] in self?.wake(lease.index) })
        }
        serveWaiting()
    }

    /// An endpoint has begun to answer: it is left alone no longer if it was for its failures. One that could not be reached gets as many requests
    /// as before; one whose answers broke off gets a single one until that has succeeded.
    func answers(_ lease: Lease) {
        let isBack = state.withLock { $0.members[lease.index].answers() }
        if isBack { serveWaiting() }
    }

    /// Serves those who waited for an endpoint's rest to end.
    /// - Returns: how long the rest still is, in seconds; nil when it is over.
    private func wake(_ index: Int) -> Double? {
        let left = state.withLock { $0.members[index].restLeft }
        guard left <= 0 else { return left }
        serveWaiting()
        return nil
    }

    private func serveWaiting() {
        let served: [(Waiter, Result<Lease, any Error>)] = state.withLock { state in
            var served: [(Waiter, Result<Lease, any Error>)] = []
            var place = 0
            while place < state.waiting.count {
                let waiter = state.waiting[place]
                if let error = hopeless(state, waiter.avoided) {
                    served.append((state.waiting.remove(at: place), .failure(error)))
                } else if let lease = take(&state, waiter.home, waiter.avoided) {
                    served.append((state.waiting.remove(at: place), .success(lease)))
                } else if waiter.avoided.isEmpty, outage == .waits {
                    break
                } else {
                    // It may be that only what it avoids is free.
                    place += 1
                }
            }
            return served
        }
        for (waiter, lease) in served { waiter.continuation.resume(with: lease) }
    }

    /// The free endpoint that suits the request's beginning best and is not much busier than others; where none is, or the beginning does not
    /// matter, the one with the least work for its weight. While all are left alone, the one to try.
    private func take(_ state: inout State, _ home: PrefixHome?, _ avoided: Set<Int>) -> Lease? {
        let now = ContinuousClock.now
        let members = state.members
        let open = members.indices.filter { members[$0].isFree(now) && !avoided.contains($0) }
        let least = open.min { left, right in
            let (a, b) = (members[left], members[right])
            return (a.load, a.share, left) < (b.load, b.share, right)
        }
        let known = home.flatMap({ Self.suitable(members, open, $0, now) }) ?? least
        guard let best = known ?? trial(members, avoided) else { return nil }
        state.members[best].inFlight += 1
        state.members[best].share += 1 / state.members[best].endpoint.weight
        state.members[best].statistics.requests += 1
        if known == nil { state.members[best].isTried = true }
        return Lease(index: best, endpoint: state.members[best].endpoint, isTrial: known == nil)
    }

    /// The endpoint to try while all that a request may go to are left alone: of those that nobody tries already, the one whose failure is the
    /// longest ago.
    private func trial(_ members: [Member], _ avoided: Set<Int>) -> Int? {
        guard outage == .refuses else { return nil }
        let now = ContinuousClock.now
        let left = members.indices.filter { !avoided.contains($0) }
        guard left.allSatisfy({ members[$0].rests(now) }) else { return nil }
        let failures = left.compactMap { index in
            members[index].isTried ? nil : members[index].failed.map { (index, $0.at) }
        }
        return failures.min { $0.1 < $1.1 }?.0
    }
}

extension EndpointPool {
    /// How far above its share of the work under way an endpoint may be before a request goes to another than its home.
    private static let overload = 1.25

    /// Consistent hashing with bounded loads (V. Mirrokni, M. Thorup and M. Zadimoghaddam, arXiv 1608.01350).
    private static func suitable(
        _ members: [Member], _ open: [Int], _ home: PrefixHome, _ now: ContinuousClock.Instant
    ) -> Int? {
        guard open.count > 1 else { return open.first }
        let awake = members.filter { !$0.rests(now) }
        let weight = awake.reduce(0) { $0 + $1.endpoint.weight }
        let work = awake.reduce(1) { $0 + $1.inFlight }
        return open.filter { index in
            let share = overload * Double(work) * members[index].endpoint.weight / weight
            return Double(members[index].inFlight + 1) <= share.rounded(.up)
        }.max { left, right in
            home.score(left, weight: members[left].endpoint.weight)
                < home.score(right, weight: members[right].endpoint.weight)
        }
    }
}

extension EndpointPool.Member {
    fileprivate var load: Double { Double(inFlight + 1) / endpoint.weight }

    /// Whether it takes a request. One that has just been left alone takes a single one, to be tried.
    fileprivate func isFree(_ now: ContinuousClock.Instant) -> Bool {
        if rests(now) { return false }
        return inFlight < (failuresOnEnd > 0 && openings > 0 ? 1 : endpoint.concurrency)
    }

    fileprivate func rests(_ now: ContinuousClock.Instant) -> Bool { closedUntil.map { $0 > now } ?? false }

    /// How long it is left alone still, in seconds.
    fileprivate var restLeft: Double {
        closedUntil.map { max(0, ContinuousClock.now.duration(to: $0) / .seconds(1)) } ?? 0
    }

    /// - Returns: whether it takes requests again that it did not take before.
    fileprivate mutating func answers() -> Bool {
        guard let failed else { return false }
        (closedUntil, self.failed) = (nil, nil)
        if failed.isDown { openings = 0 }
        return true
    }

    /// - Returns: for how many seconds it is left alone from now on; nil when nothing changes.
    fileprivate mutating func end(
        _ outcome: EndpointPool.Outcome, retries: RemoteOptions.Retries, longestRest: Double
    ) -> Double? {
        inFlight -= 1
        switch outcome {
        case .success:
            failuresOnEnd = 0
            openings = 0
            return nil
        case .neutral: return nil
        case .pause(let seconds):
            statistics.failures += 1
            failed = nil
            return rest(seconds)
        case .failure, .down:
            statistics.failures += 1
            failuresOnEnd += 1
            let isDown = if case .down = outcome { true } else { false }
            // What was under way when it was closed says nothing new; a trial is not made again before that of others.
            if rests(.now) {
                failed = failed.map { (.now, $0.isDown || isDown) }
                return nil
            }
            guard isDown || failuresOnEnd >= retries.failuresToOpen || openings > 0 else { return nil }
            openings += 1
            statistics.openings += 1
            failed = (.now, isDown)
            return rest(min(longestRest, max(retries.base, 0.01) * Double(1 << min(openings, 16))))
        }
    }

    private mutating func rest(_ seconds: Double) -> Double? {
        guard seconds > 0 else { return nil }
        let end = ContinuousClock.now + .seconds(seconds)
        closedUntil = max(closedUntil ?? end, end)
        return restLeft
    }
}
