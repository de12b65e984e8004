import Testing

@testable import RetortServer

@Suite("Admission")
struct AdmissionTests {
    /// Waits until so many wait.
    private func settle(_ admission: Admission, waiting: Int) async throws {
        for _ in 0..<20_000 where admission.load.waiting != waiting { try await Task.sleep(for: .milliseconds(1)) }
        #expect(admission.load.waiting == waiting)
    }

    @Test("places are handed on in the order of asking")
    func order() async throws {
        let admission = Admission(running: 1, waiting: 8, patience: .seconds(3600))
        var place: Admission.Slot? = try await admission.enter()
        let (arrivals, continuation) = AsyncStream<Int>.makeStream()
        let work = try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<4 {
                group.addTask {
                    let place = try await admission.enter()
                    continuation.yield(number)
                    withExtendedLifetime(place) {}
                }
                try await settle(admission, waiting: number + 1)
            }
            #expect(place != nil)
            place = nil
            try await group.waitForAll()
            continuation.finish()
            return await arrivals.reduce(into: []) { $0.append($1) }
        }
        #expect(work == [0, 1, 2, 3])
        #expect(admission.load == (0, 0))
    }

    @Test("a request counts with all its samples; those that fit pass one that does not yet, but not for ever")
    func samples() async throws {
        let admission = Admission(running: 8, waiting: 200, patience: .seconds(3600))
        var first: Admission.Slot? = try await admission.enter(samples: 6)
        let wide = Task { try await admission.enter(samples: 8) }
        try await settle(admission, waiting: 1)
        // Two are free, and one who waits for eight does not hold them.
        for _ in 0..<64 {
            let narrow = Task { try await admission.enter(samples: 2) }
            let place = try await narrow.value
            #expect(admission.load == (8, 1))
            withExtendedLifetime(place) {}
        }
        let late = Task { try await admission.enter(samples: 2) }
        try await settle(admission, waiting: 2)
        #expect(first != nil)
        first = nil
        let place = try await wide.value
        #expect(admission.load == (8, 1))
        withExtendedLifetime(place) {}
        late.cancel()
        // More than there is room for runs alone.
        let all = Admission(running: 2, waiting: 1, patience: .seconds(3600))
        let big = try await all.enter(samples: 64)
        #expect(all.load == (2, 0))
        withExtendedLifetime(big) {}
    }

    @Test("more than may wait are refused at once, and those who wait too long")
    func full() async throws {
        let admission = Admission(running: 1, waiting: 1, patience: .seconds(2))
        let place = try await admission.enter()
        let second = Task { try await admission.enter() }
        try await settle(admission, waiting: 1)
        await #expect(throws: Admission.Refusal.full) { try await admission.enter() }
        await #expect(throws: Admission.Refusal.tooSlow) { try await second.value }
        #expect(admission.load == (1, 0))
        withExtendedLifetime(place) {}
    }

    @Test("a cancelled waiter leaves the queue; closing refuses the others")
    func leaving() async throws {
        let admission = Admission(running: 1, waiting: 8, patience: .seconds(3600))
        let place = try await admission.enter()
        let cancelled = Task { try await admission.enter() }
        let other = Task { try await admission.enter() }
        try await settle(admission, waiting: 2)
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        #expect(admission.load.waiting == 1)
        admission.close()
        await #expect(throws: Admission.Refusal.closed) { try await other.value }
        await #expect(throws: Admission.Refusal.closed) { try await admission.enter() }
        withExtendedLifetime(place) {}
    }

    @Test("under a storm of arrivals and cancellations no place is lost or given twice")
    func storm() async throws {
        let admission = Admission(running: 3, waiting: 500, patience: .seconds(3600))
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<400 {
                let task = Task {
                    let place = try await admission.enter()
                    #expect(admission.load.running <= 3)
                    await Task.yield()
                    withExtendedLifetime(place) {}
                }
                if number % 3 == 0 { task.cancel() }
                group.addTask { _ = try? await task.value }
            }
        }
        #expect(admission.load == (0, 0))
    }
}
