import Foundation
import RetortAgents
import RetortCore
import RetortStore
import Synchronization

/// A participant in a fleet's run: it claims tasks, keeps its claims alive, and records the results.
final class FleetParticipant: Sendable {
    private struct Account {
        var own = Usage()
        var budget: Budget?
    }

    private struct State {
        var held: [FleetPart: [String: FleetClaim]] = [:]
        var sign = FleetSign()
        var accounts: [String: Account] = [:]
    }

    let store: FleetStore
    let run: String
    /// Unique among all processes.
    let name: String
    /// How long a claim lasts without a sign of life, in seconds.
    let lease: Double
    /// How many tasks are done at the same time; nil is each stage's own number.
    private let width: Int?
    private let state = Mutex(State())

    /// The name that its spending is recorded under.
    private let payer: String

    /// - Parameter payer: the name whose spending it adds to; nil is its own.
    init(
        _ store: FleetStore, run: String, name: String, lease: Double, width: Int? = nil, payer: String? = nil
    ) {
        (self.store, self.run, self.name, self.lease, self.width) = (store, run, name, lease, width)
        self.payer = payer ?? name
    }

    /// Continues the counts of what this process did for the run before.
    func go(on sign: FleetSign) { state.withLock { $0.sign = sign } }

    /// A name for this process: host, process id and a part that no other process has.
    static func ownName() -> String {
        let host = ProcessInfo.processInfo.hostName.prefix { $0 != "." }
        return "\(host):\(ProcessInfo.processInfo.processIdentifier):\(UUID().uuidString.prefix(8).lowercased())"
    }

    /// What has been done so far.
    var sign: FleetSign { state.withLock { $0.sign } }

    // MARK: Work

    /// The longest pause before searching for open tasks again, in seconds.
    private static let longestPause = 1.0

    /// Works on a part's tasks until the planner closes it.
    /// - Throws: errors of the work that halt the run, and `FleetError`. Claimed tasks are given back.
    func work<Job: Codable & Sendable>(
        in part: FleetPart, width usual: Int,
        _ work: @escaping @Sendable (_ id: String, _ job: Job) async throws -> FleetResult
    ) async throws {
        let width = max(width ?? usual, 1)
        state.withLock { ($0.sign.width, $0.sign.stage) = (width, part.stage) }
        defer { state.withLock { $0.sign.width = 0 } }
        do {
            try await claimAndWork(in: part, width: width, work)
        } catch {
            // Others can take them at once, instead of after the lease.
            await giveBack(part)
            throw error
        }
    }

    private func claimAndWork<Job: Codable & Sendable>(
        in part: FleetPart, width: Int, _ work: @escaping @Sendable (String, Job) async throws -> FleetResult
    ) async throws {
        let (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        try await withThrowingDiscardingTaskGroup { group in
            defer { group.cancelAll() }
            var arrivals = signals.makeAsyncIterator()
            var pause = 0.05
            while true {
                let free = width - busy(in: part)
                let claims =
                    free > 0 ? try await store.claim(free, in: part, by: name, lease: lease) : []
                hold(claims, in: part)
                for claim in claims {
                    group.addTask {
                        try await self.carryOut(claim, in: part, work)
                        signal.yield()
                    }
                }
                if !claims.isEmpty { pause = 0.05 }
                let isWaiting = claims.count < free
                if isWaiting, busy(in: part) == 0, try await !store.isOpen(part) { return }
                if isWaiting {
                    let length = pause
                    pause = min(pause * 1.5, Self.longestPause)
                    group.addTask {
                        try? await Task.sleep(for: .seconds(length))
                        signal.yield()
                    }
                }
                guard await arrivals.next() != nil, !Task.isCancelled else { throw CancellationError() }
            }
        }
    }

    private func carryOut<Job: Codable & Sendable>(
        _ claim: FleetClaim, in part: FleetPart, _ work: @Sendable (String, Job) async throws -> FleetResult
    ) async throws {
        let job: Job
        do {
            job = try ExactJSON.decode(Job.self, from: claim.job.utf8)
        } catch {
            throw FleetError.unreadable(
                store: store.name, what: "the task '\(claim.id)' of \(part.stage)", reason: "\(error)")
        }
        let result = try await work(claim.id, job)
        // Paid work is recorded even when the task is cancelled.
        let counts = try await Task { try await store.record(result, of: claim, in: part, by: name) }.value
        state.withLock { state in
            state.held[part]?[claim.id] = nil
            state.sign.busy -= 1
            guard counts else { return state.sign.dropped += 1 }
            state.sign.done += 1
            if result.failure != nil { state.sign.failed += 1 }
        }
    }

    private func busy(in part: FleetPart) -> Int { state.withLock { $0.held[part]?.count ?? 0 } }

    private func hold(_ claims: [FleetClaim], in part: FleetPart) {
        state.withLock { state in
            for claim in claims { state.held[part, default: [:]][claim.id] = claim }
            state.sign.busy += claims.count
        }
    }

    private func giveBack(_ part: FleetPart) async {
        let claims = state.withLock { state in
            let claims = state.held[part].map { Array($0.values) } ?? []
            state.sign.busy -= claims.count
            state.held[part] = nil
            return claims
        }
        let (store, name) = (store, name)
        _ = await Task { try? await store.renew(claims, in: part, by: name, lease: nil) }.value
    }

    // MARK: Signs of life

    /// Works while reporting four times per lease, with a last report at the end.
    func beating<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await body() }
            group.addTask {
                while true {
                    try await self.beat()
                    try await Task.sleep(for: .seconds(self.lease / 4))
                }
            }
            while let value = try await group.next() {
                if let value { return value }
            }
            throw CancellationError()
        }
    }

    /// One report: claims are prolonged, and spending is recorded.
    func beat(hasLeft: Bool = false) async throws {
        let (held, sign, accounts) = state.withLock { ($0.held, $0.sign, $0.accounts) }
        for (part, claims) in held {
            try await store.renew(Array(claims.values), in: part, by: name, lease: lease)
        }
        try await store.note(sign, of: name, in: run, version: Retort.version, hasLeft: hasLeft)
        for (account, known) in accounts {
            let others = try await store.spend(known.own, of: payer, for: account, in: run)
            known.budget?.note(elsewhere: others)
        }
    }

    /// The last report; it is not waited for long.
    func leave() async {
        _ = try? await withTimeLimit(seconds: 3) { try await self.beat(hasLeft: true) }
    }

    // MARK: Spending

    func join(_ budget: Budget, for account: String, own: Usage) async throws {
        let own = state.withLock { state in
            let known = Account(own: (state.accounts[account]?.own ?? Usage()) + own, budget: budget)
            state.accounts[account] = known
            return known.own
        }
        budget.note(elsewhere: try await store.spend(own, of: payer, for: account, in: run))
    }

    func spent(_ usage: Usage, for account: String) {
        state.withLock { $0.accounts[account, default: Account()].own = ($0.accounts[account]?.own ?? Usage()) + usage }
    }
}
