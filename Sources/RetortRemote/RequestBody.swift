import Foundation
import RetortCore

/// What is sent: the fields of OpenAI's chat and completions operations, and of vLLM's, SGLang's and llama.cpp's
/// extensions where they are asked for. Absent fields are not sent at all, for some servers refuse what they do not know.
struct RequestBody: Encodable {
    struct ChatMessage: Encodable {
        var role: String
        var content: String
        /// Mistral's and DeepSeek's mark of a message to be continued.
        var prefix: Bool?
    }

    struct StreamOptions: Encodable {
        var include_usage = true
    }

    var model: String
    var messages: [ChatMessage]?
    var prompt: JSONValue?
    var n: Int?
    var temperature: Double
    var top_p: Double?
    var top_k: Int?
    var seed: UInt64
    var stop: [String]?
    var max_tokens: Int
    var stream: Bool
    var stream_options: StreamOptions?
    var add_generation_prompt: Bool?
    var continue_final_message: Bool?
    /// A flag for chat, a count for completions.
    var logprobs: JSONValue?
    var top_logprobs: Int?
    /// vLLM's and Retort's.
    var prompt_logprobs: Int?
    /// vLLM's; others leave it alone.
    var return_token_ids: Bool?
    var response_format: JSONValue?
    /// vLLM's and Retort's.
    var structured_outputs: JSONValue?
    /// Of vLLM before 0.12.
    var guided_choice: [String]?
    /// llama.cpp's.
    var grammar: String?
    var json_schema: JSONValue?
    /// SGLang's.
    var regex: String?

    /// As JSON. The tools, and what the chat template is told, stand as the request has them, in their order.
    func json(tools: String?, templateArguments: String?) throws -> Data {
        let body = try JSONEncoder().encode(self)
        guard messages != nil else { return body }
        let more = [("tools", tools), ("chat_template_kwargs", templateArguments)]
            .compactMap { name, value in value.map { ",\"\(name)\":\($0)" } }
        return more.isEmpty ? body : body.dropLast() + Data((more.joined() + "}").utf8)
    }

    /// Some servers hold seeds in 32 bits, and OpenAI's in a signed number.
    static func seed(_ seed: UInt64, sample: Int) -> UInt64 { (seed &+ UInt64(sample)) & 0x7FFF_FFFF }
}

extension RequestBody {
    /// - Parameters:
    ///   - samples: those still to be made, by their number in the request.
    ///   - form: what the endpoint understands.
    /// - Throws: `RemoteError.inexpressible`, and what writing the prompt throws.
    init(
        _ request: GenerationRequest, samples: [Int], to endpoint: Endpoint, form: EndpointSupport.Form,
        options: RemoteOptions
    ) throws {
        let sampling = request.sampling.forSample(samples.first ?? 0)
        model = request.adapter ?? endpoint.model
        n = samples.count > 1 ? samples.count : nil
        temperature = sampling.temperature
        top_p = sampling.topP < 1 ? sampling.topP : nil
        top_k = sampling.topK > 0 ? sampling.topK : nil
        seed = Self.seed(sampling.seed, sample: samples.first ?? 0)
        stop = request.stops.isEmpty ? nil : request.stops
        max_tokens = request.maximumTokens
        // vLLM tells of a prompt's tokens in whole replies only.
        prompt_logprobs = request.promptReport
        stream = options.streams && request.promptReport == nil
        stream_options = stream ? StreamOptions() : nil
        if form.tokenIDs { return_token_ids = true }
        switch try options.prompt(request) {
        case .some(let plain):
            prompt = plain.json
            if case .logprobs(let count) = request.report { logprobs = .integer(count) }
        case nil:
            messages = Self.messages(request, form.prefill)
            if form.prefill == .continueFinal {
                add_generation_prompt = false
                continue_final_message = true
            }
            if case .logprobs(let count) = request.report {
                logprobs = true
                top_logprobs = count > 0 ? count : nil
            }
        }
        if let wanted = request.grammar { try constrain(to: wanted, endpoint) }
    }

    private static func messages(_ request: GenerationRequest, _ form: Endpoint.Prefill?) -> [ChatMessage] {
        var messages = request.messages.map { ChatMessage(role: $0.role.rawValue, content: $0.withCallsAsText.text) }
        switch form {
        case nil: break
        case .automatic, .continueFinal, .trailing:
            messages.append(ChatMessage(role: "assistant", content: request.prefill))
        case .marked: messages.append(ChatMessage(role: "assistant", content: request.prefill, prefix: true))
        case .instructed:
            let wish = """
                Your reply has already begun with the text between the marks. Write what follows it, in the same form, \
                and do not repeat it.
                <begun>
                \(request.prefill)
                </begun>
                """
            if messages.last?.role == Role.user.rawValue {
                messages[messages.count - 1].content += "\n\n\(wish)"
            } else {
                messages.append(ChatMessage(role: Role.user.rawValue, content: wish))
            }
        }
        return messages
    }
}

extension RemoteOptions {
    /// What is to be continued as it stands; nil when the server is sent the chat.
    func prompt(_ request: GenerationRequest) throws -> PlainPrompt? {
        if let plain = request.plain { return plain }
        guard case .completions(let render) = operation else { return nil }
        return try render(request.messages, request.prefill)
    }
}

extension PlainPrompt {
    fileprivate var json: JSONValue {
        switch self {
        case .text(let text): .string(text)
        case .tokens(let tokens): .array(tokens.map { .integer(Int($0)) })
        }
    }
}
