import RetortCore
import RetortTensor

/// Serves requests from keys and values in pages.
///
/// A round is one pass through the network with some tokens of the prompts that are being read, and with the last
/// token of every sample together with a draft of what may follow. So no answer waits for another request's long
/// prompt, and samples cost only what their own lengths cost. Requests are admitted in order by the pages that they
/// may need; a request that has to wait does not hold up smaller ones behind it, for a limited time.
final class PagedBatch: SampleBatch {
    /// A prompt that is being read into pages.
    private final class Reading {
        let pending: PendingRequest
        var sequence: PagedSequence
        /// The pages that it and its samples may still need.
        var promised: Int
        let samples: [RunningSample]
        /// The probabilities of the tokens read so far, if the request asks for them: one fewer than tokens read.
        var report: [TokenChooser.Choice] = []

        init(_ pending: PendingRequest, _ sequence: PagedSequence, promised: Int) {
            self.pending = pending
            self.sequence = sequence
            self.promised = promised
            samples = (0..<pending.request.samples).map { RunningSample(pending, index: $0) }
        }
    }

    /// An answer that is being generated.
    private final class Writing {
        let sample: RunningSample
        var sequence: PagedSequence
        /// The most pages that it may need.
        let most: Int
        var lookup: PromptLookup?

        init(_ sample: RunningSample, _ sequence: PagedSequence, most: Int, lookup: PromptLookup?) {
            self.sample = sample
            self.sequence = sequence
            self.most = most
            self.lookup = lookup
        }
    }

    /// The part of a pass that belongs to one request.
    private enum Work {
        case read(Reading, count: Int)
        case write(Writing, draft: [Int32])

        var pending: PendingRequest {
            switch self {
            case .read(let reading, _): reading.pending
            case .write(let writing, _): writing.sample.pending
            }
        }
    }

    private let decoder: PagedDecoder
    private let memory: KeyValuePages
    private let prefixes: PrefixPages
    private let contextLength: Int
    /// The memory of one text's states in bytes; 0 for networks that only attend.
    private let stateBytes: Int
    /// The most samples that run at once, unless all belong to one request.
    private let mostSamples: Int
    private let options: LocalModel.Options
    private var waiting = WaitingRequests()
    private var reading: [Reading] = []
    private var writing: [Writing] = []

    /// The most prompt tokens in a pass while answers are being generated, so that these do not stall.
    private static let pieceBesideAnswers = 256
    /// With up to this many tokens, a pass is bound by reading the weights, so drafts are nearly free.
    private static let freeTokens = 12
    /// The most prompt tokens whose probabilities are computed in one pass, since each takes a row as long as the
    /// vocabulary.
    private static let reportedPiece = 128

    init(_ network: DecoderNetwork, options: LocalModel.Options) throws {
        let (configuration, dtype) = (network.configuration, network.embedTokens.dtype)
        let stateBytes = configuration.stateBytes(dtype)
        self.stateBytes = stateBytes
        // With states, a quarter of the cache is for the states of kept beginnings and a quarter for running texts;
        // pages get the rest.
        let forStates = stateBytes > 0 ? options.cacheBytes / 4 : 0
        // Each text has the states after its last token, and those after its last full page.
        let most = stateBytes > 0 ? forStates / (2 * stateBytes) : options.maximumSamples
        mostSamples = max(1, min(most, options.maximumSamples))
        memory = try KeyValuePages(
            configuration, dtype: dtype, bytes: options.cacheBytes - 2 * forStates,
            mostTokens: options.maximumSamples * configuration.maximumPositions + options.prefixTokens)
        decoder = PagedDecoder(network, memory: memory, notesStates: options.prefixTokens > 0)
        prefixes = PrefixPages(memory, mostStates: stateBytes > 0 ? forStates / stateBytes : nil)
        contextLength = configuration.maximumPositions
        self.options = options
    }

    var isEmpty: Bool { waiting.isEmpty && reading.isEmpty && writing.isEmpty }

    var waitingCount: Int { waiting.count }

    var cacheUse: CacheUse {
        let kept = prefixes.spare
        let texts = reading.count + writing.count
        return CacheUse(
            budget: memory.count * memory.pageBytes + (stateBytes > 0 ? 2 * (options.cacheBytes / 4) : 0),
            running: (memory.count - memory.freeCount - kept) * memory.pageBytes + 2 * texts * stateBytes,
            kept: kept * memory.pageBytes + prefixes.stateCount * stateBytes,
            reserved: promised * memory.pageBytes, token: memory.pageBytes / KeyValuePages.pageTokens,
            sequences: texts,
            tokens: reading.reduce(0) { $0 + $1.sequence.length } + writing.reduce(0) { $0 + $1.sequence.length },
            sharedPages: memory.sharedCount)
    }

    func add(_ request: PendingRequest) throws {
        let needed = pages(request, shared: 0)
        guard needed <= memory.count else {
            throw LocalModelError.tooLarge(
                tokens: needed * KeyValuePages.pageTokens, limit: memory.count * KeyValuePages.pageTokens)
        }
        waiting.append(request)
    }

    func round() {
        admit()
        for each in writing where each.sample.pending.isCancelled { each.sample.isFinished = true }
        for each in reading where each.pending.isCancelled { each.sequence.release(in: memory) }
        reading.removeAll { $0.pending.isCancelled }
        removeFinished()
        run(plan())
        removeFinished()
    }

    // MARK: - Admission

    /// The most pages that a request may take.
    private func pages(_ request: PendingRequest, shared: Int) -> Int {
        let prompt = request.prompt.count / KeyValuePages.pageTokens
        return prompt - shared + request.request.samples * (mostPages(request) - prompt)
    }

    /// The most pages of one sample, including those of its prompt.
    private func mostPages(_ request: PendingRequest) -> Int {
        KeyValuePages.pages(for: request.mostTokens(contextLength: contextLength) + 1)
    }

    /// The pages that running requests may still need.
    private var promised: Int {
        reading.reduce(0) { $0 + $1.promised } + writing.reduce(0) { $0 + $1.most - $1.sequence.pages.count }
    }

    /// Begins to read as many prompts as there is room for.
    private func admit() {
        var promised = promised
        let samples = writing.count + reading.reduce(0) { $0 + $1.pending.request.samples }
        waiting.admit(running: samples, most: mostSamples) { request in
            guard !isBeingRead(request), let admitted = begin(request, promised: promised) else { return false }
            promised += admitted.promised
            reading.append(admitted)
            return true
        }
    }

    /// Takes the cached beginning of a prompt; nil when there is no room for the rest and the answers.
    private func begin(_ request: PendingRequest, promised: Int) -> Reading? {
        let shared: (pages: [Int32], states: CarriedStates.States) =
            sharesBeginning(request) ? prefixes.match(request.prompt, adapter: request.adapter) : ([], [:])
        var sequence = PagedSequence(sharing: shared.pages, states: shared.states, in: memory)
        let needed = pages(request, shared: shared.pages.count)
        if memory.freeCount < promised + needed { prefixes.free(promised + needed) }
        guard memory.freeCount >= promised + needed else {
            sequence.release(in: memory)
            return nil
        }
        return Reading(request, sequence, promised: needed)
    }

    /// Whether the cached beginning of a prompt can be skipped; a request for its tokens' probabilities needs all of
    /// them.
    private func sharesBeginning(_ request: PendingRequest) -> Bool {
        options.prefixTokens > 0 && request.request.promptReport == nil
    }

    /// Whether another request is reading a long part of this one's beginning, so that it is better to wait for it.
    private func isBeingRead(_ request: PendingRequest) -> Bool {
        guard sharesBeginning(request) else { return false }
        return reading.contains { other in
            guard other.pending.adapter == request.adapter else { return false }
            let known = other.sequence.length
            let worthwhile = known + 2 * KeyValuePages.pageTokens
            guard other.pending.prompt.count > worthwhile, request.prompt.count > worthwhile else { return false }
            return other.pending.prompt.prefix(worthwhile) == request.prompt.prefix(worthwhile)
        }
    }

    // MARK: - A pass

    private func plan() -> [Work] {
        var work: [Work] = []
        // Drafts are cheap while a pass has few tokens, and cost as much as other tokens beyond that.
        let drafted = reading.isEmpty ? max(0, Self.freeTokens - writing.count) : 0
        let each = writing.isEmpty ? 0 : max(drafted / writing.count, writing.count <= 8 && reading.isEmpty ? 2 : 0)
        for sample in writing {
            let room = min(each, sample.sample.room(contextLength: contextLength) - 1)
            work.append(.write(sample, draft: sample.lookup.map { Array($0.draft(room)) } ?? []))
        }
        var left = writing.isEmpty ? options.prefillTokens : min(Self.pieceBesideAnswers, options.prefillTokens)
        for prompt in reading where left > 0 {
            let most = prompt.pending.request.promptReport == nil ? left : min(left, Self.reportedPiece)
            let count = min(prompt.pending.prompt.count - prompt.sequence.length, most)
            left -= count
            work.append(.read(prompt, count: count))
        }
        return work
    }

    /// Runs a pass; if it fails, runs each part separately, so that only the failing part is lost.
    private func run(_ work: [Work]) {
        guard !work.isEmpty else { return }
        do {
            try perform(work)
        } catch {
            guard work.count > 1 else {
                for each in work { fail(each, error) }
                return
            }
            for each in work {
                do { try perform([each]) } catch { fail(each, error) }
            }
        }
    }

    private func fail(_ work: Work, _ error: any Error) {
        work.pending.finish(throwing: error)
        switch work {
        case .write(let sample, _): sample.sample.isFinished = true
        case .read(let prompt, _):
            prompt.sequence.release(in: memory)
            reading.removeAll { $0 === prompt }
        }
    }

    private func perform(_ work: [Work]) throws {
        var parts: [PagedDecoder.Part] = []
        var rows: [TokenChooser.Row] = []
        var places: [Int] = []
        var scores = 0
        for each in work {
            let part = try part(each)
            parts.append(part)
            let wanted = self.rows(each)
            rows += wanted
            // All samples of a prompt choose from the same scores, those of its last token.
            places += wanted.indices.map { scores + min($0, part.scores - 1) }
            scores += part.scores
        }
        let logits = try decoder.scores(parts)
        var choices: [TokenChooser.Choice] = []
        if let logits {
            choices = try withoutGradients {
                try TokenChooser.choose(
                    places.count == scores ? logits : logits.rows(Tensor(integers: places)), rows)
            }
        }
        var next = choices[...]
        for each in work {
            let own = next.prefix(self.rows(each).count)
            next = next.dropFirst(own.count)
            try take(each, Array(own))
        }
    }

    /// What a pass reads for a request.
    private func part(_ work: Work) throws -> PagedDecoder.Part {
        switch work {
        case .read(let prompt, let count):
            let before = prompt.sequence.pages.count
            try prompt.sequence.reserve(count, in: memory)
            prompt.promised -= prompt.sequence.pages.count - before
            let start = prompt.sequence.length
            let isLast = start + count == prompt.pending.prompt.count
            return PagedDecoder.Part(
                tokens: Array(prompt.pending.prompt[start..<start + count]), sequence: prompt.sequence,
                adapter: prompt.pending.adapter,
                scores: prompt.pending.request.promptReport != nil ? count : isLast ? 1 : 0)
        case .write(let sample, let draft):
            try sample.sequence.reserve(1 + draft.count, in: memory)
            return PagedDecoder.Part(
                tokens: [Int32(sample.sample.lastToken)] + draft, sequence: sample.sequence,
                adapter: sample.sample.pending.adapter, scores: 1 + draft.count)
        }
    }

    /// How the tokens that a pass yields are chosen.
    private func rows(_ work: Work) -> [TokenChooser.Row] {
        switch work {
        case .write(let sample, let draft): return sample.sample.choices(1 + draft.count)
        case .read(let prompt, let count):
            let end = prompt.sequence.length + count
            let told = reported(prompt, upTo: end)
            guard end >= prompt.pending.prompt.count else { return told }
            return told + prompt.samples.flatMap { $0.choices(1) }
        }
    }

    /// The prompt tokens whose probabilities are reported by a pass that reads it up to `end`: those after the first
    /// one it reads.
    private func reported(_ prompt: Reading, upTo end: Int) -> [TokenChooser.Row] {
        guard let alternatives = prompt.pending.request.promptReport else { return [] }
        return prompt.pending.prompt[..<min(end + 1, prompt.pending.prompt.count)]
            .dropFirst(prompt.sequence.length + 1)
            .map { TokenChooser.Row(sampling: .greedy, draw: 0, alternatives: alternatives, given: $0) }
    }

    private func take(_ work: Work, _ choices: [TokenChooser.Choice]) throws {
        switch work {
        case .write(let sample, let draft): take(sample, draft, choices)
        case .read(let prompt, let count):
            let told = reported(prompt, upTo: prompt.sequence.length + count).count
            prompt.report += choices.prefix(told)
            let choices = Array(choices.dropFirst(told))
            prompt.sequence.length += count
            if options.prefixTokens > 0 {
                prefixes.keep(
                    Array(prompt.pending.prompt.prefix(prompt.sequence.length)), prompt.sequence.pages,
                    adapter: prompt.pending.adapter, states: prompt.sequence.states.marks)
                prompt.sequence.states.forgetMarks()
            }
            guard !choices.isEmpty else { return }
            try start(prompt, choices)
        }
    }

    /// Gives a sample its tokens: the first, and one more for each token of the draft that it chose itself.
    private func take(_ sample: Writing, _ draft: [Int32], _ choices: [TokenChooser.Choice]) {
        var right = 0
        for (place, choice) in choices.enumerated() {
            sample.sequence.length += 1
            sample.sequence.states.forgetMarks()
            sample.sample.advance()
            sample.sample.accept(choice, contextLength: contextLength)
            sample.lookup?.append(Int32(choice.token))
            guard place < draft.count, !sample.sample.isFinished, choice.token == Int(draft[place]) else { break }
            right += 1
        }
        sample.lookup?.learn(right: right, of: draft.count)
    }

    /// Starts the samples of a prompt that has been read.
    private func start(_ prompt: Reading, _ choices: [TokenChooser.Choice]) throws {
        reading.removeAll { $0 === prompt }
        let samples = prompt.samples
        samples.first?.reportPrompt(prompt.report)
        let most = mostPages(prompt.pending)
        var started: [Writing] = []
        do {
            for sample in samples {
                let isLast = sample.index == samples.count - 1
                let sequence = isLast ? prompt.sequence : try prompt.sequence.forked(in: memory)
                // Constrained samples go one token at a time, and states cannot go back after a wrong draft.
                let drafts = options.drafts && stateBytes == 0 && prompt.pending.constraint == nil
                let lookup = drafts ? PromptLookup(prompt.pending.prompt) : nil
                started.append(Writing(sample, sequence, most: most, lookup: lookup))
            }
        } catch {
            for each in started { each.sequence.release(in: memory) }
            if started.count < samples.count { prompt.sequence.release(in: memory) }
            prompt.pending.finish(throwing: error)
            return
        }
        writing += started
        for (each, choice) in zip(started, choices) {
            each.sample.accept(choice, contextLength: contextLength)
            each.lookup?.append(Int32(choice.token))
        }
    }

    /// Ends finished samples; their pages are kept for prompts that continue them.
    private func removeFinished() {
        guard writing.contains(where: { $0.sample.isFinished }) else { return }
        for each in writing where each.sample.isFinished {
            if options.prefixTokens > 0, !each.sample.pending.isFailed {
                prefixes.keep(
                    each.sample.cached, each.sequence.pages, adapter: each.sample.pending.adapter,
                    states: each.sequence.states.marks)
            }
            each.sequence.release(in: memory)
        }
        writing.removeAll { $0.sample.isFinished }
        prefixes.limit(to: options.prefixTokens / KeyValuePages.pageTokens)
    }
}
