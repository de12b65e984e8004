import Foundation
import RetortCore
import RetortTensor
import Synchronization

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
        /// How the weights are held and computed with; nil takes what is fastest here without loss (`WeightPrecision.usual`).
        public var weights: WeightPrecision?
        /// The most memory that keys and values take, in bytes; requests that need more wait, or are refused.
        public var cacheBytes: Int
        /// Whether drafts of what comes next are looked up in the text itself and checked in one pass, where that pays. They change
        /// no answer.
        public var drafts: Bool
        /// PEFT adapters that are served side by side over the one set of weights, by the name that requests give.
        public var adapters: [String: URL]
        /// How many tokens' keys and values are kept for prompts that begin alike, such as an agent's next step; 0 reads every
        /// prompt whole. In bfloat16 and int8 on CPUs with AVX512-BF16 that changes no answer.
        public var prefixTokens: Int
        /// Whether decoding steps on CUDA are recorded and replayed (CUDA graphs), where that can be had. The cache then has room for
        /// the next power of two of samples and tokens.
        public var recordsSteps: Bool
        /// A quarter of the machine's memory.
        public static let usualCacheBytes = Int(ProcessInfo.processInfo.physicalMemory / 4)

        /// For tests; nil decides by what there is.
        var stepping: BatchDecoder.Stepping?

        /// Whether keys and values lie densely, a row a sample, and not in pages.
        fileprivate var isDense: Bool { device == .cuda || stepping != nil }

        /// One model in its own precision, without adapters.
        public init(
            maximumSamples: Int = 64, maximumWaiting: Int = 4096, prefillTokens: Int = 4096, device: Device = .cpu,
            weights: WeightPrecision? = nil, adapters: [String: URL] = [:], prefixTokens: Int = 0,
            cacheBytes: Int = Options.usualCacheBytes, drafts: Bool = true, recordsSteps: Bool = true
        ) {
            self.weights = weights
            self.cacheBytes = cacheBytes
            self.drafts = drafts
            self.recordsSteps = recordsSteps
            self.prefixTokens = prefixTokens
            self.adapters = adapters
            self.maximumSamples = maximumSamples
            self.maximumWaiting = maximumWaiting
            self.prefillTokens = prefillTokens
            self.device = device
        }
    }

    public nonisolated let identity: String
    /// How many weights the model has, without adapters.
    public nonisolated let parameterCount: Int
    /// How its weights are held.
    public nonisolated let weights: WeightPrecision
    /// What they take in memory, without adapters, in bytes.
    public nonisolated let weightBytes: Int
    /// Longest prompt and completion together, in tokens.
    public nonisolated let contextLength: Int
    private nonisolated let executor: EngineExecutor
    private nonisolated let options: Options
    private nonisolated let vocabularySize: Int
    private nonisolated let voice: Voice
    /// Of adapters that bring a tokenizer or a chat template of their own, by number.
    private nonisolated let adapterVoices: [Int: Voice]
    private nonisolated let adapterNumbers: [String: Int]
    private let batch: any SampleBatch
    private let dense: DenseBatch?
    private let use: Mutex<CacheUse>
    /// For requests with a grammar, by whose voice; each made for the first of them.
    private var vocabularies: [Int?: TokenTrie] = [:]
    private var isLooping = false

    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Opens a Hugging Face folder, a GGUF file, or a folder with a PEFT adapter that names its base.
    public init(folder: URL, identity: String? = nil, options: Options = Options()) throws {
        let checkpoint = try Checkpoint(folder: folder)
        let weights = options.weights ?? .usual(on: options.device)
        try weights.check(options.device)
        let network = try checkpoint.network(dtype: weights.dtype, device: options.device)
        self.weights = weights
        self.options = options
        self.identity = identity ?? CheckpointSource.name(of: folder)
        parameterCount = network.parameterCount
        let names = options.adapters.keys.sorted()
        var voices: [Int: Voice] = [:]
        for (number, name) in names.enumerated() {
            guard let folder = options.adapters[name] else { continue }
            try AdapterFile.attach(folder, to: network, servedAs: number, over: checkpoint.folders.base)
            voices[number] = try Voice(adapter: folder)
        }
        adapterVoices = voices
        adapterNumbers = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
        if options.device == .cpu, let bits = weights.packing { try network.pack(bits) }
        weightBytes = network.weightBytes
        contextLength = network.configuration.maximumPositions
        vocabularySize = network.configuration.vocabularySize
        voice = checkpoint.voice
        if options.isDense {
            guard !network.configuration.carriesStates else {
                throw LocalModelError.carriesStates(network.configuration.architecture)
            }
            let dense = DenseBatch(network, options: options)
            self.dense = dense
            batch = dense
        } else {
            dense = nil
            batch = try PagedBatch(network, options: options)
        }
        let unused = batch.cacheUse
        use = Mutex(unused)
        // From here on the model computes on a thread of its own.
        ComputeThreads.release()
        executor = EngineExecutor(name: "retort.model")
    }

    deinit { executor.finish() }

    /// Why decoding steps that were to be recorded are not (CUDA graphs); nil where they are, and where they were not to be.
    public var recordingFailure: String? {
        dense?.recordingFailure ?? (options.device == .cuda && options.recordsSteps ? DeviceGraph.refusal : nil)
    }

    public nonisolated func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream(bufferingPolicy: .bufferingOldest(PendingRequest.longestBacklog)) { continuation in
            let voice = voice(of: request.adapter.flatMap { adapterNumbers[$0] })
            let pending = PendingRequest(request, voice, continuation)
            continuation.onTermination = { _ in pending.cancel() }
            Task { await self.admit(pending) }
        }
    }

    public nonisolated func profile(of request: GenerationRequest) -> ReplyProfile {
        voice(of: request.adapter.flatMap { adapterNumbers[$0] }).profile(of: request)
    }

    /// What `generation_config.json` says of how tokens are drawn that is not followed here, in words.
    public nonisolated var samplingNotes: [String] {
        ([voice] + adapterVoices.sorted { $0.key < $1.key }.map(\.value)).compactMap(\.drawing.note)
    }

    /// Templates are rendered and texts made tokens here, beside the thread that decodes.
    private nonisolated func admit(_ pending: PendingRequest) async {
        do {
            guard (1...options.maximumSamples).contains(pending.request.samples) else {
                throw LocalModelError.sampleCount(pending.request.samples, limit: options.maximumSamples)
            }
            if let name = pending.request.adapter {
                guard let number = adapterNumbers[name] else {
                    throw LanguageModelError.unknownAdapter(name, known: Array(adapterNumbers.keys))
                }
                pending.adapter = number
            }
            try pending.request.grammar?.check()
            if pending.request.promptReport != nil, options.isDense { throw LocalModelError.noPromptReport }
            pending.prompt = try prompt(of: pending.request, in: pending.voice)
            guard pending.prompt.count < contextLength else {
                throw LanguageModelError.promptTooLong(tokens: pending.prompt.count, limit: contextLength)
            }
        } catch {
            return pending.finish(throwing: error)
        }
        await submit(pending)
    }

    private func submit(_ pending: PendingRequest) {
        do {
            guard batch.waitingCount < options.maximumWaiting else {
                throw LocalModelError.tooManyRequests(limit: options.maximumWaiting)
            }
            pending.constraint = pending.request.grammar.map { TokenConstraint($0, vocabulary(of: pending)) }
            try batch.add(pending)
        } catch {
            return pending.finish(throwing: error)
        }
        guard !isLooping else { return }
        isLooping = true
        Task { await self.loop() }
    }

    private nonisolated func voice(of adapter: Int?) -> Voice { adapter.flatMap { adapterVoices[$0] } ?? voice }

    private func vocabulary(of pending: PendingRequest) -> TokenTrie {
        let key = pending.adapter.flatMap { adapterVoices[$0] == nil ? nil : $0 }
        if let known = vocabularies[key] { return known }
        let vocabulary = TokenTrie(pending.voice.tokenizer, endTokens: pending.voice.endTokens)
        vocabularies[key] = vocabulary
        return vocabulary
    }

    private nonisolated func prompt(of request: GenerationRequest, in voice: Voice) throws -> [Int32] {
        let tokens: [Int32]
        switch request.plain {
        case .text(let text): tokens = voice.tokenizer.opening + voice.tokenizer.encode(text, specials: .recognised)
        case .tokens(let ids): tokens = ids
        case nil:
            do {
                var template = try request.templateArguments.map(voice.template.told) ?? voice.template
                if let tools = request.tools { template = try template.offering(tools) }
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

    /// Works until nothing is left, letting new requests in between rounds.
    private func loop() async {
        while !batch.isEmpty {
            batch.round()
            use.withLock { $0 = batch.cacheUse }
            await Task.yield()
        }
        isLooping = false
    }

    /// What keys and values take now, in bytes.
    public nonisolated var cacheUse: CacheUse { use.withLock { $0 } }
}

/// Requests that a local model cannot take.
public enum LocalModelError: Error, CustomStringConvertible {
    case tooManyRequests(limit: Int)
    case sampleCount(Int, limit: Int)
    case tooLarge(tokens: Int, limit: Int)
    /// The probabilities of a prompt's tokens are told on the CPU.
    case noPromptReport
    /// A family whose layers carry states is served on the CPU only.
    case carriesStates(String)
    /// So many events waited to be read.
    case slowReader(events: Int)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .tooManyRequests(let limit):
            "\(limit) requests are already waiting for the model; wait for some to finish, or raise maximumWaiting"
        case .sampleCount(let count, let limit):
            "a request for \(count) samples cannot be served; ask for 1 to \(limit)"
        case .carriesStates(let architecture):
            "\(architecture) has layers that carry states from token to token, and is served on the CPU only; "
                + "choose the device cpu"
        case .noPromptReport:
            "the probabilities of a prompt's tokens are told on the CPU only; choose the device cpu"
        case .slowReader(let events):
            "\(events) events of the answer wait to be read, and no more are kept; read them as they come"
        case .tooLarge(let tokens, let limit):
            "the prompt and the longest answers are \(tokens) tokens, and the cache holds \(limit); ask for fewer samples or "
                + "tokens, or give the cache more memory"
        }
    }
}
