import Foundation
import RetortCore
import RetortTensor

/// How processes find each other before they train, and who is missing when one has gone.
final class Meeting: Sendable {
    private let place: TeamPlace
    private let joining, seconds: Double
    private let store: MeetingPlace
    private let end: ContinuousClock.Instant

    /// How long a process waits for the others' word, in seconds: all that are left find a connection closed at once, and one that says
    /// nothing not quite at the same time.
    private static let patience = (lost: 1.0, silent: 3.0)
    private static let pause: UInt32 = 20_000

    /// Opens the place where they meet, or waits for rank 0 to open it.
    /// - Parameters:
    ///   - joining: how long all have to come.
    ///   - seconds: how long they wait for each other later.
    init(_ place: TeamPlace, joining: Double, seconds: Double) throws {
        (self.place, self.joining, self.seconds) = (place, joining, seconds)
        let end = ContinuousClock.now + .seconds(joining)
        self.end = end
        let serves = place.rank == 0 && !place.isServedByLauncher
        while true {
            try Task.checkCancellation()
            do {
                // Whoever serves tries once: others may have come to a first attempt.
                store = try MeetingPlace(
                    host: place.address, port: place.port, serves: serves, seconds: serves ? joining : min(joining, 5))
                store.limit(seconds: joining)
                return
            } catch {
                let why = "\(error)".split(separator: "\n").first.map(String.init) ?? ""
                if serves, ["in use", "EADDRINUSE"].contains(where: "\(error)".contains) {
                    throw TeamError.portTaken(address: place.address, port: place.port)
                }
                guard !serves, ContinuousClock.now < end else {
                    throw TeamError.unreachable(
                        address: place.address, port: place.port, seconds: joining, why: String(why.prefix(200)))
                }
                usleep(Self.pause)
            }
        }
    }

    private func key(_ what: String, _ rank: Int) -> String { "retort/\(place.attempt)/\(what)/\(rank)" }

    /// Waits for all processes, and compares what they are.
    func members(_ own: TrainingTeam.Member) throws -> [TrainingTeam.Member] {
        do {
            let members = try met(own)
            try check(members, own)
            return members
        } catch let error as TensorError {
            throw TeamError.notConnected("\(error)")
        }
    }

    private func met(_ own: TrainingTeam.Member) throws -> [TrainingTeam.Member] {
        guard try store.add(key("claim", place.rank), 1) == 1 else { throw TeamError.rankTwice(place.rank) }
        try store.set(
            key("member", place.rank), String(decoding: try JSONCoding.encoder.encode(own), as: UTF8.self))
        var members: [TrainingTeam.Member] = []
        while members.count < place.size {
            guard let text = try store.text(key("member", members.count)) else {
                try Task.checkCancellation()
                guard ContinuousClock.now < end else { throw try missing(from: members.count) }
                usleep(Self.pause)
                continue
            }
            members.append(try JSONDecoder().decode(TrainingTeam.Member.self, from: Data(text.utf8)))
        }
        return members
    }

    private func missing(from first: Int) throws -> TeamError {
        .missing(
            ranks: try (first..<place.size).filter { try store.text(key("member", $0)) == nil }, size: place.size,
            seconds: joining)
    }

    private func check(_ members: [TrainingTeam.Member], _ own: TrainingTeam.Member) throws {
        let isOnSeveral = Set(members.map(\.machine)).count > 1
        for (rank, member) in members.enumerated() {
            guard member.program == own.program else {
                throw TeamError.otherProgram(
                    rank: rank, host: member.host, theirs: member.program, ours: own.program)
            }
            if isOnSeveral, member.address.hasPrefix("127.") || member.address == "::1",
                ProcessInfo.processInfo.environment["GLOO_SOCKET_IFNAME"] == nil
            {
                throw TeamError.loopback(rank: rank, host: member.host, address: member.address)
            }
        }
    }

    /// Connects all to all.
    func connect(_ members: [TrainingTeam.Member], interface: String?) throws -> ProcessTeam {
        do {
            return try ProcessTeam(
                store, rank: place.rank, size: place.size, address: members[place.rank].address, interface: interface,
                joining: joining, seconds: seconds)
        } catch {
            throw TeamError.notConnected("\(error)")
        }
    }

    // MARK: When one has gone

    /// Who it was: all that are left say that they noticed, and rank 0 counts.
    func verdict(on error: String, by rank: Int, among names: [String]) -> TeamError {
        let isSilent = ["timed out", "timeout"].contains { error.lowercased().contains($0) }
        let who = absent(rank, names.count, isSilent ? Self.patience.silent : Self.patience.lost).map { names[$0] }
        return isSilent ? .silent(who, seconds: seconds) : .lost(who)
    }

    /// Says that this process is there, and noticed.
    func notice(_ rank: Int) {
        store.limit(seconds: Self.patience.silent + 2)
        try? store.set(key("noticed", rank), "")
    }

    private func absent(_ rank: Int, _ size: Int, _ patience: Double) -> [Int] {
        let end = ContinuousClock.now + .seconds(patience)
        do {
            guard rank == 0 else { return try toldAbsent(until: end + .seconds(2)) }
            var left = Set(1..<size)
            while !left.isEmpty, ContinuousClock.now < end {
                for other in left where try store.text(key("noticed", other)) != nil { left.remove(other) }
                if !left.isEmpty { usleep(Self.pause) }
            }
            try store.set(key("absent", 0), left.sorted().map(String.init).joined(separator: " "))
            // Time to read it, before this process takes the place along.
            var readers = Set(1..<size).subtracting(left)
            while !readers.isEmpty, ContinuousClock.now < end + .seconds(1) {
                for other in readers where try store.text(key("read", other)) != nil { readers.remove(other) }
                if !readers.isEmpty { usleep(Self.pause) }
            }
            return left.sorted()
        } catch {
            // Rank 0 has the store, unless a launcher does.
            return rank == 0 || place.isServedByLauncher ? [] : [0]
        }
    }

    private func toldAbsent(until end: ContinuousClock.Instant) throws -> [Int] {
        while ContinuousClock.now < end {
            if let text = try store.text(key("absent", 0)) {
                try store.set(key("read", place.rank), "")
                return text.split(separator: " ").compactMap { Int($0) }
            }
            usleep(Self.pause)
        }
        // It may be there, and have a checkpoint to write before it counts.
        return try store.text(key("noticed", 0)) == nil ? [0] : []
    }
}
