import RetortCore
import RetortTensor

/// Serves requests from a dense cache with one row per sample. Used on CUDA, where steps with few shapes can be
/// recorded.
///
/// A prompt is read as soon as there is room, every step serves all running samples, and a finished sample frees its
/// row at once. All rows are as long as the longest sample may become; requests are admitted by the memory that this
/// takes.
final class DenseBatch: SampleBatch {
    private let decoder: BatchDecoder
    private let prefixes: PrefixStore?
    private let contextLength: Int
    private let options: LocalModel.Options
    /// The most tokens that the rows have room for, and the most that are kept of earlier requests.
    private let mostRunning, mostKept: Int
    private var waiting = WaitingRequests()
    private var running: [RunningSample] = []

    init(_ network: DecoderNetwork, options: LocalModel.Options) {
        let records = options.device == .cuda && options.recordsSteps && DeviceGraph.refusal == nil
        decoder = BatchDecoder(network, stepping: options.stepping ?? (records ? .recorded : .growing))
        let configuration = network.configuration
        // Kept prefixes take at most a quarter of the cache's memory; rows get the rest.
        let tokens = options.cacheBytes / max(decoder.tokenBytes, 1)
        mostKept = min(options.prefixTokens, tokens / 4)
        prefixes = mostKept > 0 ? PrefixStore(limit: mostKept) : nil
        contextLength = configuration.maximumPositions
        mostRunning = min(
            tokens - mostKept, decoder.size(rows: options.maximumSamples, length: contextLength).tokens)
        self.options = options
    }

    var isEmpty: Bool { waiting.isEmpty && running.isEmpty }

    var waitingCount: Int { waiting.count }

    var cacheUse: CacheUse {
        let token = decoder.tokenBytes
        return CacheUse(
            budget: (mostRunning + mostKept) * token, running: decoder.cacheBytes, kept: prefixes?.bytes ?? 0,
            reserved: max(planned.tokens * token - decoder.cacheBytes, 0), token: token,
            sequences: running.count, tokens: running.reduce(0) { $0 + $1.length })
    }

    /// Why steps are not recorded although they should be; nil if they are.
    var recordingFailure: String? { decoder.recordingFailure }

    func add(_ request: PendingRequest) throws {
        let needed = decoder.size(rows: request.request.samples, length: mostTokens(request)).tokens
        guard needed <= mostRunning else { throw LocalModelError.tooLarge(tokens: needed, limit: mostRunning) }
        waiting.append(request)
    }

    func round() {
        admit()
        for sample in running where sample.pending.isCancelled { sample.isFinished = true }
        removeFinished()
        step()
        removeFinished()
    }

    // MARK: - Admission

    /// The size that the cache may come to need for the running samples.
    private var planned: KeyValueCache.Size {
        decoder.size(rows: running.count, length: running.map { mostTokens($0.pending) }.max() ?? 0)
    }

    private func mostTokens(_ request: PendingRequest) -> Int { request.mostTokens(contextLength: contextLength) }

    /// Reads the prompts of as many waiting requests as fit. If that fails, each is read separately, so that only
    /// those that fail are lost.
    private func admit() {
        var batch: [PendingRequest] = []
        var tokens = 0
        var size = planned
        waiting.admit(running: running.count, most: options.maximumSamples) { request in
            let rows = running.count + batch.reduce(request.request.samples) { $0 + $1.request.samples }
            let larger = decoder.size(rows: rows, length: max(size.length, mostTokens(request)))
            guard batch.isEmpty || tokens + request.prompt.count <= options.prefillTokens,
                larger.tokens <= mostRunning
            else { return false }
            size = larger
            tokens += request.prompt.count
            batch.append(request)
            return true
        }
        guard !batch.isEmpty else { return }
        do {
            try read(batch, size)
        } catch {
            guard batch.count > 1 else { return batch[0].finish(throwing: error) }
            for request in batch {
                do { try read([request], size) } catch { request.finish(throwing: error) }
            }
        }
    }

    /// Reads prompts in one packed row, and starts their samples.
    /// - Parameter size: the size that the cache may come to need for them and the running samples.
    private func read(_ batch: [PendingRequest], _ size: KeyValueCache.Size) throws {
        let used = decoder.size(rows: running.count, length: running.map(\.length).max() ?? 0)
        try decoder.makeRoom(for: size, used: used, limit: mostRunning)
        let started = batch.flatMap { pending in
            (0..<pending.request.samples).map { RunningSample(pending, index: $0) }
        }
        let prompts = batch.map { pending in
            BatchDecoder.Prompt(
                tokens: pending.prompt, samples: pending.request.samples, adapter: pending.adapter,
                known: prefixes?.match(pending.prompt, adapter: pending.adapter))
        }
        let choices = try decoder.prefill(prompts, firstRow: running.count, rows: started)
        running += started
        accept(choices, from: running.count - started.count)
    }

    // MARK: - A step

    /// Gives every sample its next token. If that fails, each takes the step separately, so that only those that fail
    /// are lost.
    private func step() {
        guard !running.isEmpty else { return }
        do {
            accept(try decoder.step(running), from: 0)
        } catch {
            for (row, sample) in running.enumerated() where !sample.pending.isFailed {
                do { accept(try decoder.step([sample], from: row), from: row) } catch { lose(sample, error) }
            }
        }
    }

    private func lose(_ sample: RunningSample, _ error: any Error) {
        sample.pending.finish(throwing: error)
        sample.isFinished = true
    }

    /// Gives each sample from row `first` on its new token.
    private func accept(_ choices: [TokenChooser.Choice], from first: Int) {
        for (sample, choice) in zip(running[first...], choices) {
            sample.accept(choice, contextLength: contextLength)
        }
    }

    /// Keeps the tokens of a finished sample; for a request with several samples only the first's, since all share
    /// the prompt. What cannot be kept is read again.
    private func keep(_ sample: RunningSample, row: Int) {
        guard let prefixes, sample.index == 0, !sample.pending.isFailed else { return }
        let (tokens, adapter) = (sample.cached, sample.pending.adapter)
        guard prefixes.wants(tokens, adapter: adapter),
            let contents = try? decoder.contents(row: row, of: tokens, adapter: adapter)
        else { return }
        prefixes.keep(contents)
    }

    /// Fills the rows of finished samples with the last rows.
    private func removeFinished() {
        while let row = running.lastIndex(where: \.isFinished) {
            keep(running[row], row: row)
            let last = running.count - 1
            running.swapAt(row, last)
            running.removeLast()
            guard row != last else { continue }
            let moved = running[row]
            do { try decoder.move(row: last, to: row, length: moved.length) } catch { lose(moved, error) }
        }
    }
}
