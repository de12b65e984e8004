import Foundation
import RetortCore
import RetortTensor
import Synchronization

/// Processes that train together, each on its part of every update's rows, so that they come to what one process would.
///
/// Rank 0 alone reads the data, plans, looks at held-out samples' losses, and writes files. It sends the others what they need, weights
/// included: they need no file, and wait between trainings.
public final class TrainingTeam: Sendable {
    /// The team that trainers of this task work with; nil trains in this process alone.
    @TaskLocal public static var current: TrainingTeam?

    /// What each process tells the others about itself.
    struct Member: Codable, Sendable, Hashable {
        var host: String
        /// Sets hosts of one name apart.
        var machine: String
        var address: String
        var program: String
    }

    /// This process's number among all, from 0.
    public let rank: Int
    /// The number of processes.
    public let size: Int
    /// The rank among the processes of this machine, and how many these are.
    public let localRank, localSize: Int
    /// How long the processes wait for each other.
    public let seconds: Double
    let members: [Member]
    private let meeting: Meeting
    private let processes: ProcessTeam
    /// Why nothing can be done any more.
    private let failure = Mutex<TeamError?>(nil)
    /// Whether rank 0 does something together with the others, and may not send them anything else.
    private let isBusy = Mutex(false)

    /// Meets the other processes.
    /// - Parameters:
    ///   - program: what this process is and does; all must be alike.
    ///   - joining: how long they are waited for; as long as later unless given.
    ///   - seconds: how long the processes wait for each other later.
    ///   - interface: the network interface to use; nil takes the one that leads to rank 0.
    /// - Throws: `TeamError`; `CancellationError`.
    public init(
        _ place: TeamPlace, program: String, joining: Double? = nil, seconds: Double = 300, interface: String? = nil
    ) throws {
        let meeting = try Meeting(place, joining: joining ?? seconds, seconds: seconds)
        let own = Member(
            host: Self.hostName, machine: Self.machine, address: OwnAddress.towards(place.address), program: program)
        let members = try meeting.members(own)
        (self.meeting, self.members) = (meeting, members)
        (rank, size, self.seconds) = (place.rank, place.size, seconds)
        let neighbours = members.indices.filter { members[$0].machine == own.machine }
        localRank = place.localRank ?? neighbours.firstIndex(of: place.rank) ?? 0
        localSize = place.localSize ?? neighbours.count
        processes = try meeting.connect(members, interface: interface)
    }

    deinit { processes.leave() }

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static var machine: String {
        let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
        return "\(hostName) \(boot.filter { !$0.isWhitespace })"
    }

    /// A process as messages name it.
    func name(_ rank: Int) -> String { "rank \(rank) on \(members[rank].host)" }

    // MARK: Calls that all make alike

    /// A call that failed, before it is known who was the cause.
    struct Broken: Error {
        let words: String
    }

    /// Makes a call of the team.
    /// - Throws: `Broken` once, see `verdict`, and `TeamError` ever after; `CancellationError`, after which the others find this process
    ///   gone.
    func call<Result>(_ body: (ProcessTeam) throws -> Result) throws -> Result {
        if let failure = failure.withLock({ $0 }) { throw failure }
        do {
            return try body(processes)
        } catch {
            processes.leave()
            guard !Task.isCancelled else {
                failure.withLock { $0 = .stopped("it was interrupted") }
                throw CancellationError()
            }
            failure.withLock { $0 = .lost([]) }
            meeting.notice(rank)
            throw Broken(words: "\(error)")
        }
    }

    /// Processes have agreed to end because one of them was told to; all are at the same place.
    struct Interrupted: Error {}

    /// Whether rank 0 can still send the others something else.
    var isReady: Bool { !isBusy.withLock { $0 } && failure.withLock { $0 == nil } }

    /// What a failed call is to people: asks around for a moment who has gone. To be called when what must not be lost is safe.
    /// - Returns: other errors as they are.
    func verdict(on error: any Error) -> any Error {
        if error is Interrupted { return Task.isCancelled ? CancellationError() : TeamError.interrupted }
        guard let broken = error as? Broken else { return error }
        let verdict = meeting.verdict(on: broken.words, by: rank, among: members.indices.map { name($0) })
        failure.withLock { $0 = verdict }
        return verdict
    }

    /// Closes the connections: the others find this process gone.
    public func leave() {
        failure.withLock { $0 = $0 ?? .stopped("this process has left") }
        processes.leave()
    }

    /// Sends what the others are to do next, with more behind it.
    func send(_ order: TeamOrder, _ more: [Data] = []) throws {
        let message = try order.message(more)
        _ = try call { try $0.broadcast(message) }
    }

    /// Waits for what rank 0 wants.
    func receive() throws -> (order: TeamOrder, more: [Data]) {
        try TeamOrder.read(try call { try $0.broadcast(Data()) })
    }

    // MARK: Rank 0

    /// Does work in which trainers have this team, as rank 0, and lets the others go at its end.
    /// - Throws: what the work throws; `TeamError` as soon as another process is gone.
    public func leading<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value {
        do {
            let value = try await withThrowingTaskGroup(of: Value?.self) { group in
                group.addTask { try await Self.$current.withValue(self) { try await work() } }
                group.addTask {
                    try await self.keepWaiting()
                    return nil
                }
                defer { group.cancelAll() }
                while let found = try await group.next() {
                    if let found { return found }
                }
                throw CancellationError()
            }
            try sendBetween(.finish)
            return value
        } catch {
            try? sendBetween(.stop(error is CancellationError ? "it was interrupted" : "\(error)"))
            leave()
            throw verdict(on: error)
        }
    }

    /// Tells the others that rank 0 is there whatever it does between updates, so that they need not wait longer than for anything else.
    private func keepWaiting() async throws {
        while true {
            try await Task.sleep(for: .seconds(min(seconds / 4, 15)))
            try sendBetween(.wait)
        }
    }

    /// Sends an order unless work is under way.
    private func sendBetween(_ order: TeamOrder) throws {
        try isBusy.withLock { isBusy in
            if !isBusy { try send(order) }
        }
    }

    /// Takes the connections for work that all do together. When it failed they are not given back: the others are somewhere else.
    func occupied<Result>(_ work: () throws -> Result) throws -> Result {
        isBusy.withLock { $0 = true }
        do {
            let result = try work()
            isBusy.withLock { $0 = false }
            return result
        } catch let error as TrainerError where error.isNotFinite {
            // What all have summed is so for all of them.
            isBusy.withLock { $0 = false }
            throw error
        } catch let error as Interrupted {
            isBusy.withLock { $0 = false }
            throw error
        }
    }

    /// Ends a training early. Processes that wait for an order get one, others find this one gone.
    func breakOff() {
        if isBusy.withLock({ $0 }) { leave() } else { try? sendBetween(.end) }
    }
}
