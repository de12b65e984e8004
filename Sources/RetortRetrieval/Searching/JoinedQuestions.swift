/// Answers questions that arrive one by one in batches, called passes: questions that arrive during a pass go
/// together into the next one, equal questions are answered once, and the latest answers are remembered.
///
/// A cancelled caller leaves at once; a pass that nobody waits for any more is cancelled.
actor JoinedQuestions<Question: Hashable & Sendable, Answer: Sendable> {
    /// What has been done so far.
    struct Account: Sendable, Hashable {
        /// Questions answered from memory, and by a pass.
        var remembered = 0
        var worked = 0
        var passes = 0
        /// The most questions that one pass has had.
        var largest = 0
        /// Answers that are remembered now, and questions that are waiting now.
        var kept = 0
        var waiting = 0
    }

    private final class Waiter {
        let number: Int
        let questions: [Question]
        var answers: [Answer?]
        var missing: Int
        var continuation: CheckedContinuation<[Answer], any Error>?

        init(_ number: Int, _ questions: [Question], _ continuation: CheckedContinuation<[Answer], any Error>) {
            (self.number, self.questions, self.continuation) = (number, questions, continuation)
            answers = Array(repeating: nil, count: questions.count)
            missing = questions.count
        }

        func take(_ answer: Answer, at place: Int) {
            if answers[place] == nil { missing -= 1 }
            answers[place] = answer
            guard missing == 0 else { return }
            continuation?.resume(returning: answers.compactMap(\.self))
            continuation = nil
        }

        func fail(_ error: any Error) {
            continuation?.resume(throwing: error)
            continuation = nil
        }
    }

    /// A question that is not answered yet.
    private struct Entry {
        var waiters: [(waiter: Waiter, place: Int)] = []
        /// The pass that answers the question; nil while it waits for one.
        var pass: Int?
    }

    private let answer: @Sendable ([Question]) async throws -> [Answer]
    private let isLasting: @Sendable () -> Bool
    private let mostAtOnce, mostPasses, mostWaiting: Int
    private var recent: RecentValues<Question, Answer>
    private var entries: [Question: Entry] = [:]
    /// Questions in the order of their arrival; those whose callers have left are skipped.
    private var queue: [Question] = []
    private var waiters: [Int: Waiter] = [:]
    private var passes: [Int: (task: Task<Void, Never>, questions: [Question])] = [:]
    private var next = 0
    private var account = Account()

    /// - Parameters:
    ///   - remembered: the most answers that are remembered.
    ///   - mostAtOnce: the most questions of a pass.
    ///   - passes: the most passes at the same time.
    ///   - mostWaiting: the most questions that wait; further ones are refused.
    ///   - isLasting: whether answers found from now on may be remembered.
    ///   - answer: answers questions, which are all different, in their order.
    init(
        remembered: Int, mostAtOnce: Int, passes: Int, mostWaiting: Int = 1 << 16,
        isLasting: @escaping @Sendable () -> Bool = { true },
        answer: @escaping @Sendable ([Question]) async throws -> [Answer]
    ) {
        (self.mostAtOnce, mostPasses, self.mostWaiting, self.answer) = (mostAtOnce, passes, mostWaiting, answer)
        self.isLasting = isLasting
        recent = RecentValues(limit: remembered)
    }

    /// What has been done so far, and what is waiting.
    var current: Account {
        var account = account
        (account.kept, account.waiting) = (recent.count, entries.count)
        return account
    }

    /// - Throws: the error of `answer`; `CancellationError`; `RetrievalError.crowded`.
    func answer(_ question: Question) async throws -> Answer { try await answers([question])[0] }

    /// The answers of questions, in their order.
    /// - Throws: the error of `answer`; `CancellationError`; `RetrievalError.crowded`.
    func answers(_ questions: [Question]) async throws -> [Answer] {
        try Task.checkCancellation()
        guard !questions.isEmpty else { return [] }
        guard entries.count + questions.count <= max(mostWaiting, questions.count) else {
            throw RetrievalError.crowded(waiting: entries.count)
        }
        next += 1
        let number = next
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { begin(Waiter(number, questions, $0)) }
        } onCancel: {
            Task { await leave(number) }
        }
    }

    private func begin(_ waiter: Waiter) {
        waiters[waiter.number] = waiter
        for (place, question) in waiter.questions.enumerated() {
            if let known = recent.value(of: question) {
                account.remembered += 1
                waiter.take(known, at: place)
            } else {
                if entries[question] == nil { queue.append(question) }
                entries[question, default: Entry()].waiters.append((waiter, place))
            }
        }
        if waiter.missing == 0 { waiters[waiter.number] = nil }
        startPasses()
    }

    private func leave(_ number: Int) {
        guard let waiter = waiters.removeValue(forKey: number) else { return }
        waiter.fail(CancellationError())
        drop(waiter)
    }

    /// Removes a waiter from its questions, and questions without waiters from the work.
    private func drop(_ waiter: Waiter) {
        for question in Set(waiter.questions) {
            guard var entry = entries[question] else { continue }
            entry.waiters.removeAll { $0.waiter === waiter }
            guard entry.waiters.isEmpty else {
                entries[question] = entry
                continue
            }
            guard let pass = entry.pass else {
                entries[question] = nil
                continue
            }
            entries[question] = entry
            cancelUnwanted(pass)
        }
    }

    /// Cancels a pass that nobody waits for; later callers with the same questions start a new one.
    private func cancelUnwanted(_ number: Int) {
        guard let pass = passes[number] else { return }
        let own = pass.questions.filter { entries[$0]?.pass == number }
        guard own.allSatisfy({ entries[$0]?.waiters.isEmpty ?? true }) else { return }
        for question in own { entries[question] = nil }
        pass.task.cancel()
    }

    private func startPasses() {
        while passes.count < mostPasses {
            let number = next + 1
            var (questions, seen): ([Question], Int) = ([], 0)
            for question in queue {
                guard questions.count < mostAtOnce else { break }
                seen += 1
                // The question may have been dropped, or may be in work again.
                guard let entry = entries[question], entry.pass == nil else { continue }
                entries[question]?.pass = number
                questions.append(question)
            }
            queue.removeFirst(seen)
            guard !questions.isEmpty else { return }
            next = number
            let batch = questions
            passes[number] = (Task { await self.work(number, batch) }, batch)
        }
    }

    private func work(_ number: Int, _ questions: [Question]) async {
        do {
            let isLasting = isLasting()
            let answers = try await answer(questions)
            guard answers.count == questions.count else {
                throw RetrievalError.search("\(questions.count) answers were expected, and there are \(answers.count)")
            }
            account.worked += questions.count
            for (question, answer) in zip(questions, answers) {
                if isLasting { recent.keep(answer, for: question) }
                for (waiter, place) in taken(question, from: number) {
                    waiter.take(answer, at: place)
                    if waiter.missing == 0 { waiters[waiter.number] = nil }
                }
            }
        } catch {
            for question in questions {
                for (waiter, _) in taken(question, from: number) {
                    waiter.fail(error)
                    waiters[waiter.number] = nil
                    drop(waiter)
                }
            }
        }
        account.passes += 1
        account.largest = max(account.largest, questions.count)
        passes[number] = nil
        startPasses()
    }

    /// The waiters for a question of a pass, which is thereby answered.
    private func taken(_ question: Question, from pass: Int) -> [(waiter: Waiter, place: Int)] {
        guard entries[question]?.pass == pass else { return [] }
        return entries.removeValue(forKey: question)?.waiters ?? []
    }
}
