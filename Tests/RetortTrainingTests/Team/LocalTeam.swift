import Foundation
import RetortTraining
import Synchronization

/// A team whose processes are threads of this one.
enum LocalTeam {
    /// The next port to try: below those that systems hand out to connections, one of which could take it in between.
    private static let next = Mutex(16_000 + Int(getpid()) % 8_000)

    /// A port that nobody listens on.
    static func freePort() -> Int {
        while true {
            let port = next.withLock { port in
                port = port < 32_000 ? port + 1 : 16_000
                return port
            }
            if isFree(port) { return port }
        }
    }

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    /// Lets processes meet.
    /// - Parameters:
    ///   - ranks: those that come; all of them unless given.
    ///   - seconds: how long they wait for each other afterwards.
    static func meet(
        _ size: Int, ranks: [Int]? = nil, joining: Double = 60, seconds: Double = 60,
        program: @escaping @Sendable (Int) -> String = { _ in "test" }
    ) async throws -> [(member: TeamMember, team: TrainingTeam)] {
        let port = freePort()
        return try await withThrowingTaskGroup(of: (TeamMember, TrainingTeam).self) { group in
            for rank in ranks ?? Array(0..<size) {
                group.addTask {
                    let member = TeamMember()
                    let place = TeamPlace(rank: rank, size: size, address: "127.0.0.1", port: port)
                    return (
                        member,
                        try await member.join(place, program: program(rank), joining: joining, seconds: seconds)
                    )
                }
            }
            return try await group.reduce(into: []) { $0.append(($1.0, $1.1)) }.sorted { $0.team.rank < $1.team.rank }
        }
    }

    /// Does work as rank 0 while the others serve.
    static func leading<Value: Sendable>(
        _ size: Int, _ work: @escaping @Sendable (TrainingTeam) async throws -> Value
    ) async throws -> Value {
        let team = try await meet(size)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for (member, team) in team.dropFirst() { group.addTask { try await member.serve(team) } }
            let lead = team[0].team
            let value = try await lead.leading { try await work(lead) }
            try await group.waitForAll()
            return value
        }
    }
}
