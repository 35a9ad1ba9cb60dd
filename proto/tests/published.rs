//! The .proto files against the published contract: names, types and numbers as the descriptors of
//! NVIDIA's client 2.51 have them, written down here once. What this project leaves out is named.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

/// `message: field:type=number …` and `enum: value=number …`; a `*` repeats. Messages without
/// fields are not listed.
const PUBLISHED: &str = "\
ServerLiveResponse: live:bool=1
ServerReadyResponse: ready:bool=1
ModelReadyRequest: name:string=1 version:string=2
ModelReadyResponse: ready:bool=1
ServerMetadataResponse: extensions:string*=3 name:string=1 version:string=2
ModelMetadataRequest: name:string=1 version:string=2
ModelMetadataResponse: inputs:TensorMetadata*=4 name:string=1 outputs:TensorMetadata*=5
    platform:string=3 versions:string*=2
ModelMetadataResponse.TensorMetadata: datatype:string=2 name:string=1 shape:int64*=3
InferParameter: bool_param:bool=1 double_param:double=4 int64_param:int64=2
    string_param:string=3 uint64_param:uint64=5
InferTensorContents: bool_contents:bool*=1 bytes_contents:bytes*=8 fp32_contents:float*=6
    fp64_contents:double*=7 int64_contents:int64*=3 int_contents:int32*=2
    uint64_contents:uint64*=5 uint_contents:uint32*=4
ModelInferRequest: id:string=3 inputs:InferInputTensor*=5 model_name:string=1
    model_version:string=2 outputs:InferRequestedOutputTensor*=6
    parameters:map<string,InferParameter>=4 raw_input_contents:bytes*=7
ModelInferRequest.InferInputTensor: contents:InferTensorContents=5 datatype:string=2
    name:string=1 parameters:map<string,InferParameter>=4 shape:int64*=3
ModelInferRequest.InferRequestedOutputTensor: name:string=1
    parameters:map<string,InferParameter>=2
ModelInferResponse: id:string=3 model_name:string=1 model_version:string=2
    outputs:InferOutputTensor*=5 parameters:map<string,InferParameter>=4
    raw_output_contents:bytes*=6
ModelInferResponse.InferOutputTensor: contents:InferTensorContents=5 datatype:string=2
    name:string=1 parameters:map<string,InferParameter>=4 shape:int64*=3
ModelConfigRequest: name:string=1 version:string=2
ModelConfigResponse: config:ModelConfig=1
ModelStatisticsRequest: name:string=1 version:string=2
StatisticDuration: count:uint64=1 ns:uint64=2
InferStatistics: cache_hit:StatisticDuration=7 cache_miss:StatisticDuration=8
    compute_infer:StatisticDuration=5 compute_input:StatisticDuration=4
    compute_output:StatisticDuration=6 fail:StatisticDuration=2 queue:StatisticDuration=3
    success:StatisticDuration=1
InferBatchStatistics: batch_size:uint64=1 compute_infer:StatisticDuration=3
    compute_input:StatisticDuration=2 compute_output:StatisticDuration=4
ModelStatistics: batch_stats:InferBatchStatistics*=7 execution_count:uint64=5
    inference_count:uint64=4 inference_stats:InferStatistics=6 last_inference:uint64=3
    memory_usage:MemoryUsage*=8 name:string=1
    response_stats:map<string,InferResponseStatistics>=9 version:string=2
ModelStatisticsResponse: model_stats:ModelStatistics*=1
ModelRepositoryParameter: bool_param:bool=1 bytes_param:bytes=4 int64_param:int64=2
    string_param:string=3
RepositoryIndexRequest: ready:bool=2 repository_name:string=1
RepositoryIndexResponse: models:ModelIndex*=1
RepositoryIndexResponse.ModelIndex: name:string=1 reason:string=4 state:string=3
    version:string=2
RepositoryModelLoadRequest: model_name:string=2
    parameters:map<string,ModelRepositoryParameter>=3 repository_name:string=1
RepositoryModelUnloadRequest: model_name:string=2
    parameters:map<string,ModelRepositoryParameter>=3 repository_name:string=1
ModelRateLimiter: priority:uint32=2 resources:Resource*=1
ModelRateLimiter.Resource: count:uint32=3 global:bool=2 name:string=1
ModelInstanceGroup: count:int32=2 gpus:int32*=3 host_policy:string=9 kind:Kind=4 name:string=1
    passive:bool=7 profile:string*=5 rate_limiter:ModelRateLimiter=6
    secondary_devices:SecondaryDevice*=8
ModelInstanceGroup.SecondaryDevice: device_id:int64=2 kind:SecondaryDeviceKind=1
ModelInstanceGroup.SecondaryDevice.SecondaryDeviceKind: KIND_NVDLA=0
ModelInstanceGroup.Kind: KIND_AUTO=0 KIND_GPU=1 KIND_CPU=2 KIND_MODEL=3
ModelTensorReshape: shape:int64*=1
ModelInput: allow_ragged_batch:bool=7 data_type:DataType=2 dims:int64*=4 format:Format=3
    is_non_linear_format_io:bool=9 is_shape_tensor:bool=6 name:string=1 optional:bool=8
    reshape:ModelTensorReshape=5
ModelInput.Format: FORMAT_NONE=0 FORMAT_NHWC=1 FORMAT_NCHW=2
ModelOutput: data_type:DataType=2 dims:int64*=3 is_non_linear_format_io:bool=7
    is_shape_tensor:bool=6 label_filename:string=4 name:string=1 reshape:ModelTensorReshape=5
BatchInput: data_type:DataType=3 kind:Kind=1 source_input:string*=4 target_name:string*=2
BatchInput.Kind: BATCH_ELEMENT_COUNT=0 BATCH_ACCUMULATED_ELEMENT_COUNT=1
    BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO=2 BATCH_MAX_ELEMENT_COUNT_AS_SHAPE=3
    BATCH_ITEM_SHAPE=4 BATCH_ITEM_SHAPE_FLATTEN=5
BatchOutput: kind:Kind=2 source_input:string*=3 target_name:string*=1
BatchOutput.Kind: BATCH_SCATTER_WITH_INPUT_SHAPE=0
ModelVersionPolicy: all:All=2 latest:Latest=1 specific:Specific=3
ModelVersionPolicy.Latest: num_versions:uint32=1
ModelVersionPolicy.Specific: versions:int64*=1
ModelOptimizationPolicy: cuda:Cuda=3 eager_batching:bool=8
    execution_accelerators:ExecutionAccelerators=4 gather_kernel_buffer_threshold:uint32=7
    graph:Graph=1 input_pinned_memory:PinnedMemoryBuffer=5
    output_pinned_memory:PinnedMemoryBuffer=6 priority:ModelPriority=2
ModelOptimizationPolicy.Graph: level:int32=1
ModelOptimizationPolicy.Cuda: busy_wait_events:bool=2 graph_spec:GraphSpec*=3 graphs:bool=1
    output_copy_stream:bool=4
ModelOptimizationPolicy.Cuda.GraphSpec: batch_size:int32=1 graph_lower_bound:LowerBound=3
    input:map<string,Shape>=2
ModelOptimizationPolicy.Cuda.GraphSpec.Shape: dim:int64*=1
ModelOptimizationPolicy.Cuda.GraphSpec.LowerBound: batch_size:int32=1
    input:map<string,Shape>=2
ModelOptimizationPolicy.ExecutionAccelerators: cpu_execution_accelerator:Accelerator*=2
    gpu_execution_accelerator:Accelerator*=1
ModelOptimizationPolicy.ExecutionAccelerators.Accelerator: name:string=1
    parameters:map<string,string>=2
ModelOptimizationPolicy.PinnedMemoryBuffer: enable:bool=1
ModelOptimizationPolicy.ModelPriority: PRIORITY_DEFAULT=0 PRIORITY_MAX=1 PRIORITY_MIN=2
ModelQueuePolicy: allow_timeout_override:bool=3 default_timeout_microseconds:uint64=2
    max_queue_size:uint32=4 timeout_action:TimeoutAction=1
ModelQueuePolicy.TimeoutAction: REJECT=0 DELAY=1
ModelDynamicBatching: default_priority_level:uint64=5 default_queue_policy:ModelQueuePolicy=6
    max_queue_delay_microseconds:uint64=2 preferred_batch_size:int32*=1
    preserve_ordering:bool=3 priority_levels:uint64=4
    priority_queue_policy:map<uint64,ModelQueuePolicy>=7
ModelSequenceBatching: control_input:ControlInput*=2 direct:StrategyDirect=3
    iterative_sequence:bool=6 max_sequence_idle_microseconds:uint64=1 oldest:StrategyOldest=4
    state:State*=5
ModelSequenceBatching.Control: bool_false_true:bool*=5 data_type:DataType=4
    fp32_false_true:float*=3 int32_false_true:int32*=2 kind:Kind=1
ModelSequenceBatching.Control.Kind: CONTROL_SEQUENCE_START=0 CONTROL_SEQUENCE_READY=1
    CONTROL_SEQUENCE_END=2 CONTROL_SEQUENCE_CORRID=3
ModelSequenceBatching.ControlInput: control:Control*=2 name:string=1
ModelSequenceBatching.InitialState: data_file:string=4 data_type:DataType=1 dims:int64*=2
    name:string=5 zero_data:bool=3
ModelSequenceBatching.State: data_type:DataType=3 dims:int64*=4 initial_state:InitialState*=5
    input_name:string=1 output_name:string=2 use_growable_memory:bool=7
    use_same_buffer_for_input_output:bool=6
ModelSequenceBatching.StrategyDirect: max_queue_delay_microseconds:uint64=1
    minimum_slot_utilization:float=2
ModelSequenceBatching.StrategyOldest: max_candidate_sequences:int32=1
    max_queue_delay_microseconds:uint64=3 preferred_batch_size:int32*=2
    preserve_ordering:bool=4
ModelEnsembling: step:Step*=1
ModelEnsembling.Step: input_map:map<string,string>=3 model_name:string=1
    model_namespace:string=5 model_version:int64=2 output_map:map<string,string>=4
ModelParameter: string_value:string=1
ModelWarmup: batch_size:uint32=2 count:uint32=4 inputs:map<string,Input>=3 name:string=1
ModelWarmup.Input: data_type:DataType=1 dims:int64*=2 input_data_file:string=5
    random_data:bool=4 zero_data:bool=3
ModelOperations: op_library_filename:string*=1
ModelTransactionPolicy: decoupled:bool=1
ModelRepositoryAgents: agents:Agent*=1
ModelRepositoryAgents.Agent: name:string=1 parameters:map<string,string>=2
ModelResponseCache: enable:bool=1
ModelConfig: backend:string=17 batch_input:BatchInput*=20 batch_output:BatchOutput*=21
    cc_model_filenames:map<string,string>=9 default_model_filename:string=8
    dynamic_batching:ModelDynamicBatching=11 ensemble_scheduling:ModelEnsembling=15
    input:ModelInput*=5 instance_group:ModelInstanceGroup*=7 max_batch_size:int32=4
    metric_tags:map<string,string>=10 model_operations:ModelOperations=18
    model_repository_agents:ModelRepositoryAgents=23
    model_transaction_policy:ModelTransactionPolicy=19 model_warmup:ModelWarmup*=16
    name:string=1 optimization:ModelOptimizationPolicy=12 output:ModelOutput*=6
    parameters:map<string,ModelParameter>=14 platform:string=2
    response_cache:ModelResponseCache=24 runtime:string=25
    sequence_batching:ModelSequenceBatching=13 version_policy:ModelVersionPolicy=3
DataType: TYPE_INVALID=0 TYPE_BOOL=1 TYPE_UINT8=2 TYPE_UINT16=3 TYPE_UINT32=4 TYPE_UINT64=5
    TYPE_INT8=6 TYPE_INT16=7 TYPE_INT32=8 TYPE_INT64=9 TYPE_FP16=10 TYPE_FP32=11 TYPE_FP64=12
    TYPE_STRING=13 TYPE_BF16=14";

/// Published fields of listed messages that are left out on purpose.
const LEFT_OUT: &str = "ModelStatistics.memory_usage ModelStatistics.response_stats";

const METHODS: &str = "ModelConfig ModelInfer ModelMetadata ModelReady ModelStatistics \
    RepositoryIndex RepositoryModelLoad RepositoryModelUnload ServerLive ServerMetadata \
    ServerReady";

fn pool() -> DescriptorPool {
    DescriptorPool::decode(proto::inference::DESCRIPTORS).unwrap()
}

/// Names without the package.
fn short(name: &str) -> String {
    name.strip_prefix("inference.").unwrap_or(name).to_owned()
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.name().to_owned(),
        Kind::Enum(found) => found.name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn field(field: &FieldDescriptor) -> String {
    let (name, number) = (field.name(), field.number());
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        return format!("{name}:map<{},{}>={number}", kind(&key.kind()), kind(&value.kind()));
    }
    let star = if field.is_list() { "*" } else { "" };
    format!("{name}:{}{star}={number}", kind(&field.kind()))
}

fn message(message: &MessageDescriptor) -> String {
    let mut fields: Vec<_> = message.fields().map(|found| field(&found)).collect();
    fields.sort();
    fields.join(" ")
}

fn values(found: &EnumDescriptor) -> String {
    let values: Vec<_> =
        found.values().map(|value| format!("{}={}", value.name(), value.number())).collect();
    values.join(" ")
}

/// Name to fields or values, of what this project has.
fn ours() -> BTreeMap<String, String> {
    let pool = pool();
    let messages = pool.all_messages().filter(|found| !found.is_map_entry());
    let messages = messages.map(|found| (short(found.full_name()), message(&found)));
    let enums = pool.all_enums().map(|found| (short(found.full_name()), values(&found)));
    messages.chain(enums).filter(|(_, fields)| !fields.is_empty()).collect()
}

fn published() -> BTreeMap<String, String> {
    let mut published: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for word in PUBLISHED.split_whitespace() {
        if let Some(next) = word.strip_suffix(':') {
            next.clone_into(&mut name);
            published.entry(name.clone()).or_default();
        } else if let Some(fields) = published.get_mut(&name) {
            let field = word.split(':').next().unwrap_or(word);
            if !LEFT_OUT.split(' ').any(|left_out| left_out == format!("{name}.{field}")) {
                *fields = format!("{fields} {word}").trim().to_owned();
            }
        }
    }
    published
}

#[test]
fn messages_and_enums_have_the_published_names_types_and_numbers() {
    let (ours, published) = (ours(), published());
    let differ = |name: &&String| ours.get(*name) != published.get(*name);
    let names: Vec<_> = ours.keys().chain(published.keys()).filter(differ).collect();
    let told: Vec<_> = names
        .iter()
        .map(|&name| format!("{name}: {:?} published: {:?}", ours.get(name), published.get(name)))
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert!(ours.len() > 60, "{} messages and enums", ours.len());
}

#[test]
fn the_service_has_the_published_methods_with_their_messages() {
    let pool = pool();
    let service = pool.get_service_by_name("inference.GRPCInferenceService").unwrap();
    let mut names = Vec::new();
    for method in service.methods() {
        let name = method.name().to_owned();
        assert_eq!(method.input().full_name(), format!("inference.{name}Request"));
        assert_eq!(method.output().full_name(), format!("inference.{name}Response"));
        assert!(!method.is_client_streaming() && !method.is_server_streaming(), "{name}");
        names.push(name);
    }
    names.sort();
    assert_eq!(names.join(" "), METHODS);
}
