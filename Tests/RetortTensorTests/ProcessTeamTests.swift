import Foundation
import RetortTensor
import Testing

/// Runs blocking work on a thread of its own.
private func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: work)) }
    }
}

@Suite("Processes that compute together")
struct ProcessTeamTests {
    /// What each of some processes comes to.
    private func each<Value: Sendable>(
        of size: Int, _ work: @escaping @Sendable (ProcessTeam) throws -> Value
    ) async throws -> [Value] {
        let place = try MeetingPlace(host: "127.0.0.1", port: 0, serves: true, seconds: 60)
        return try await withThrowingTaskGroup(of: (Int, Value).self) { group in
            for rank in 0..<size {
                group.addTask {
                    try await onThread {
                        let own = try MeetingPlace(host: "127.0.0.1", port: place.port, serves: false, seconds: 60)
                        let team = try ProcessTeam(
                            own, rank: rank, size: size, address: "127.0.0.1", joining: 60, seconds: 60)
                        return (rank, try work(team))
                    }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    @Test("numbers are summed", arguments: [2, 3, 5])
    func sums(size: Int) async throws {
        let found = try await each(of: size) { team in
            var values = [Double(team.rank + 1), 0.1 * Double(team.rank), -1]
            try team.sum(&values)
            return values
        }
        let exact = [Double(size * (size + 1) / 2), 0.1 * Double(size * (size - 1) / 2), -Double(size)]
        for values in found {
            #expect(zip(values, exact).allSatisfy { abs($0 - $1) < 1e-12 })
            #expect(values == found[0])
        }
    }

    @Test("gradients are summed, and one that a process lacks is zero")
    func gradients() async throws {
        let found = try await each(of: 3) { team in
            let wide = try Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3]).requireGradient()
            let other = try Tensor([1, 1]).requireGradient()
            try (wide * Double(team.rank + 1)).sum().backward()
            // Only one process has learned anything of the other.
            if team.rank == 1 { try (other * 7).sum().backward() }
            try team.sumGradients(of: [other, wide])
            return [try wide.gradient()?.floats() ?? [], try other.gradient()?.floats() ?? []]
        }
        for gradients in found { #expect(gradients == [[6, 6, 6, 6, 6, 6], [7, 7]]) }
    }

    @Test("tensors of any type and bytes come from the one that has them")
    func broadcasts() async throws {
        let found = try await each(of: 3) { team in
            let halves = try Tensor([1.5, -2, 0.25]).to(.bfloat16)
            let own = team.rank == 1 ? halves : try Tensor.zeros([3], dtype: .bfloat16)
            try team.broadcast(own, from: 1)
            // A view that is not laid out in order.
            let square = try Tensor(team.rank == 0 ? [1, 2, 3, 4] : [0, 0, 0, 0], shape: [2, 2]).transposed(0, 1)
            try team.broadcast(square)
            let text = try team.broadcast(Data("from \(team.rank)".utf8), from: 2)
            let none = try team.broadcast(Data())
            return [
                "\(try own.floats())", "\(try square.floats())", String(decoding: text, as: UTF8.self), "\(none.count)",
            ]
        }
        for values in found { #expect(values == ["[1.5, -2.0, 0.25]", "[1.0, 3.0, 2.0, 4.0]", "from 2", "0"]) }
    }

    @Test("a process that leaves is an error for the others, and so is a team that was left")
    func leaving() async throws {
        let failures = try await each(of: 2) { team in
            guard team.rank == 0 else {
                team.leave()
                return true
            }
            var values = [1.0]
            do {
                try team.sum(&values)
                return false
            } catch let error as TensorError {
                team.leave()
                #expect(throws: TensorError.self) { try team.sum(&values) }
                return !"\(error)".isEmpty
            }
        }
        #expect(failures == [true, true])
    }

    @Test("keys are set, read, counted, and nil before")
    func place() throws {
        let place = try MeetingPlace(host: "127.0.0.1", port: 0, serves: true, seconds: 60)
        #expect(try place.text("a") == nil)
        try place.set("a", "ü")
        #expect(try place.text("a") == "ü")
        #expect(try [place.add("n", 1), place.add("n", 1)] == [1, 2])
        #expect(throws: TensorError.self) {
            try MeetingPlace(host: "127.0.0.1", port: place.port, serves: true, seconds: 1)
        }
    }
}
