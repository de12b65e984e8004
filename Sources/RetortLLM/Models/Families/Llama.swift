/// Llama 2 and 3 (arXiv 2307.09288, 2407.21783): the plain decoder; Llama 3.1 and later stretch their rotary positions.
enum LlamaFamily: ModelFamily {
    static let architectures = ["LlamaForCausalLM", "llama"]
    static let gguf = GGUFArchitecture(
        "llama", takes: [.outputBias, .feedForwardBias, .ownHead, .ownHeadWidth, .linear, .llama3],
        turnsNeighbours: true)

    static func refine(_ configuration: inout DecoderConfiguration, _ fields: ConfigurationFields) throws {
        try fields.requireActivation("silu")
        configuration.hasQueryKeyValueBias = fields.flag("attention_bias")
        configuration.hasOutputBias = fields.flag("attention_bias")
        configuration.hasFeedForwardBias = fields.flag("mlp_bias")
        configuration.rotary = try fields.rotary()
    }
}
