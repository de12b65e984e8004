import Foundation
import RetortCore
import RetortTensor

/// A checkpoint in this process.
///
/// Requests from any number of tasks share one batch: a prompt is read as soon as there is room, every decoding step
/// serves all running samples, and a finished sample makes room at once. The N samples of one request share a single
/// reading of their prompt.
///
/// ```swift
/// let model = try LocalModel(folder: URL(fileURLWithPath: "seedlings/3m"))
/// for try await event in model.stream(GenerationRequest(messages: [Message(.user, "Hello")])) { … }
/// ```
public actor LocalModel: LanguageModel {
    /// How much runs at once, and where.
    public struct Options: Sendable {
        /// The most samples decoded together.
        public var maximumSamples: Int
        /// The most requests that may wait.
        public var maximumWaiting: Int
        /// The most prompt tokens read in one go.
        public var prefillTokens: Int
        /// Where the weights live.
        public var device: Device
        /// The precision they are computed in; nil takes float32 on the CPU and bfloat16 on CUDA.
        public var dtype: DType?
        /// Weights in few bits, on the CPU: smaller, and faster one token at a time; nil keeps them as they are.
        public var packing: PackedWeight.Bits?
        /// PEFT adapters that are served side by side over the one set of weights, by the name that requests give.
        public var adapters: [String: URL]
        /// How many tokens' keys and values are kept for prompts that begin alike, such as an agent's next step; 0 reads
        /// every prompt whole, so that an answer never depends, in its last bits, on what was asked before.
        public var prefixTokens: Int
        /// Whether decoding steps on CUDA are recorded and replayed (CUDA graphs), where that can be had. The cache then has room for
        /// the next power of two of samples and tokens.
        public var recordsSteps: Bool
        /// For tests; nil decides by what there is.
        var stepping: BatchDecoder.Stepping?

        /// One model in its own precision, without adapters.
        public init(
            maximumSamples: Int = 64, maximumWaiting: Int = 4096, prefillTokens: Int = 4096, device: Device = .cpu,
            dtype: DType? = nil, packing: PackedWeight.Bits? = nil, adapters: [String: URL] = [:],
            prefixTokens: Int = 0, recordsSteps: Bool = true
        ) {
            self.recordsSteps = recordsSteps
            self.prefixTokens = prefixTokens
            self.packing = packing
            self.adapters = adapters
            self.maximumSamples = maximumSamples
            self.maximumWaiting = maximumWaiting
            self.prefillTokens = prefillTokens
            self.device = device
            self.dtype = dtype
        }
    }

    public nonisolated let identity: String
    /// How many weights the model has, without adapters.
    public nonisolated let parameterCount: Int
    /// Longest prompt and completion together, in tokens.
    public nonisolated let contextLength: Int
    private nonisolated let executor: EngineExecutor
    private let options: Options
    private let vocabularySize: Int
    private let voice: Voice
    /// Of adapters that bring a tokenizer or a chat template of their own, by number.
    private let adapterVoices: [Int: Voice]
    private let adapterNumbers: [String: Int]
    private let decoder: BatchDecoder
    private let prefixes: PrefixStore?
    /// For requests with a grammar, by whose voice; each made for the first of them.
    private var vocabularies: [Int?: TokenTrie] = [:]
    private var waiting: [PendingRequest] = []
    private var running: [RunningSample] = []
    private var isLooping = false

    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Opens a Hugging Face folder, or a folder with a PEFT adapter that names its base.
    public init(folder: URL, identity: String? = nil, options: Options = Options()) throws {
        let checkpoint = try Checkpoint(folder: folder)
        let network = try checkpoint.network(
            dtype: options.dtype ?? (options.device == .cuda || options.packing != nil ? .bfloat16 : .float32),
            device: options.device)
        self.options = options
        self.identity = identity ?? folder.lastPathComponent
        parameterCount = network.parameterCount
        let names = options.adapters.keys.sorted()
        var voices: [Int: Voice] = [:]
        for (number, name) in names.enumerated() {
            guard let folder = options.adapters[name] else { continue }
            try AdapterFile.attach(folder, to: network, servedAs: number)
            voices[number] = try Voice(adapter: folder)
        }
        adapterVoices = voices
        adapterNumbers = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
        if let packing = options.packing { try network.pack(packing) }
        contextLength = network.configuration.maximumPositions
        vocabularySize = network.configuration.vocabularySize
        voice = checkpoint.voice
        let records = options.device == .cuda && options.recordsSteps && DeviceGraph.refusal == nil
        decoder = BatchDecoder(network, stepping: options.stepping ?? (records ? .recorded : .growing))
        prefixes = options.prefixTokens > 0 ? PrefixStore(limit: options.prefixTokens) : nil
        executor = EngineExecutor(name: "retort.model")
    }

    deinit { executor.finish() }

    /// Why decoding steps that were to be recorded are not (CUDA graphs); nil where they are, and where they were not to be.
    public var recordingFailure: String? {
        decoder.recordingFailure ?? (options.device == .cuda && options.recordsSteps ? DeviceGraph.refusal : nil)
    }

    public nonisolated func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream { continuation in
            let pending = PendingRequest(request, continuation)
            continuation.onTermination = { _ in pending.cancel() }
            Task { await self.submit(pending) }
        }
    }

    private func submit(_ pending: PendingRequest) {
        do {
            guard waiting.count < options.maximumWaiting else {
                throw LocalModelError.tooManyRequests(limit: options.maximumWaiting)
            }
            guard (1...options.maximumSamples).contains(pending.request.samples) else {
                throw LocalModelError.sampleCount(pending.request.samples, limit: options.maximumSamples)
            }
            if let name = pending.request.adapter {
                guard let number = adapterNumbers[name] else {
                    throw LanguageModelError.unknownAdapter(name, known: Array(adapterNumbers.keys))
                }
                pending.adapter = number
            }
            pending.constraint = pending.request.grammar.map { TokenConstraint($0, vocabulary(of: pending.adapter)) }
            pending.prompt = try prompt(of: pending.request, in: voice(of: pending.adapter))
            guard pending.prompt.count < contextLength else {
                throw LanguageModelError.promptTooLong(tokens: pending.prompt.count, limit: contextLength)
            }
        } catch {
            return pending.finish(throwing: error)
        }
        waiting.append(pending)
        guard !isLooping else { return }
        isLooping = true
        Task { await self.loop() }
    }

    private func voice(of adapter: Int?) -> Voice { adapter.flatMap { adapterVoices[$0] } ?? voice }

    private func vocabulary(of adapter: Int?) -> TokenTrie {
        let key = adapter.flatMap { adapterVoices[$0] == nil ? nil : $0 }
        if let known = vocabularies[key] { return known }
        let voice = voice(of: adapter)
        let vocabulary = TokenTrie(voice.tokenizer, endTokens: voice.endTokens)
        vocabularies[key] = vocabulary
        return vocabulary
    }

    private func prompt(of request: GenerationRequest, in voice: Voice) throws -> [Int32] {
        let tokens: [Int32]
        switch request.plain {
        case .text(let text): tokens = voice.tokenizer.opening + voice.tokenizer.encode(text, specials: .recognised)
        case .tokens(let ids): tokens = ids
        case nil:
            do {
                let template = try request.tools.map(voice.template.offering) ?? voice.template
                tokens = try template.render(
                    request.messages, then: .generation(prefill: request.prefill), with: voice.tokenizer
                ).tokens
            } catch {
                throw LanguageModelError.unusablePrompt("\(error)")
            }
        }
        // A tokenizer may have more tokens than the weights.
        if let stranger = tokens.first(where: { !(0..<vocabularySize).contains(Int($0)) }) {
            throw LanguageModelError.unusablePrompt(
                "\(stranger) is no token; the vocabulary has 0 to \(vocabularySize - 1)")
        }
        guard !tokens.isEmpty else { throw LanguageModelError.unusablePrompt("it is empty") }
        return tokens
    }

    /// Decodes until nothing is left, letting new requests in between steps.
    private func loop() async {
        while !(waiting.isEmpty && running.isEmpty) {
            do {
                try admit()
                try decode()
            } catch {
                for sample in running { sample.pending.finish(throwing: error) }
                running.removeAll()
            }
            await Task.yield()
        }
        isLooping = false
    }

    /// Reads the prompts of as many waiting requests as there is room for, in one packed row.
    private func admit() throws {
        waiting.removeAll { $0.isCancelled }
        var batch: [PendingRequest] = []
        var rows = running.count
        var tokens = 0
        while let next = waiting.first, rows + next.request.samples <= options.maximumSamples,
            batch.isEmpty || tokens + next.prompt.count <= options.prefillTokens
        {
            rows += next.request.samples
            tokens += next.prompt.count
            batch.append(waiting.removeFirst())
        }
        guard !batch.isEmpty else { return }
        let started = batch.flatMap { pending in
            (0..<pending.request.samples).map {
                RunningSample(pending, index: $0, tokenizer: voice(of: pending.adapter).tokenizer)
            }
        }
        let prompts = batch.map { pending in
            BatchDecoder.Prompt(
                tokens: pending.prompt, samples: pending.request.samples, adapter: pending.adapter,
                known: prefixes?.match(pending.prompt, adapter: pending.adapter))
        }
        do {
            let choices = try decoder.prefill(prompts, firstRow: running.count, rows: started)
            running += started
            accept(choices, from: running.count - started.count)
        } catch {
            // They are no longer waiting and do not run yet: nobody else would tell them.
            for pending in batch { pending.finish(throwing: error) }
            throw error
        }
    }

    private func decode() throws {
        for sample in running where sample.pending.isCancelled { sample.isFinished = true }
        try removeFinished()
        guard !running.isEmpty else { return }
        accept(try decoder.step(running), from: 0)
        try removeFinished()
    }

    /// Gives each sample from row `first` on its new token.
    private func accept(_ choices: [TokenChooser.Choice], from first: Int) {
        for (sample, choice) in zip(running[first...], choices) {
            let endTokens = voice(of: sample.pending.adapter).endTokens
            sample.accept(choice, endTokens: endTokens, contextLength: contextLength)
        }
    }

    /// Keeps what a finished sample has read; of a request's samples the first one's, which hold the same prompt.
    private func keep(_ sample: RunningSample, row: Int) throws {
        guard let prefixes, sample.index == 0 else { return }
        let (tokens, adapter) = (sample.cached, sample.pending.adapter)
        guard prefixes.wants(tokens, adapter: adapter) else { return }
        prefixes.keep(try decoder.contents(row: row, of: tokens, adapter: adapter))
    }

    /// Closes the gaps that finished samples leave, last row first.
    private func removeFinished() throws {
        for row in running.indices.reversed() where running[row].isFinished {
            try keep(running[row], row: row)
            let last = running.count - 1
            if row != last {
                try decoder.move(row: last, to: row, length: running[last].length)
                running.swapAt(row, last)
            }
            running.removeLast()
        }
    }
}

/// Requests that a local model cannot take.
public enum LocalModelError: Error, CustomStringConvertible {
    case tooManyRequests(limit: Int)
    case sampleCount(Int, limit: Int)

    public var description: String {
        switch self {
        case .tooManyRequests(let limit):
            "\(limit) requests are already waiting for the model; wait for some to finish, or raise maximumWaiting"
        case .sampleCount(let count, let limit):
            "a request for \(count) samples cannot be served; ask for 1 to \(limit)"
        }
    }
}
